"""Files that once did harm, sent one row at a time."""

from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import download_models
from app_custom.app.model import FruitCNN
from attack.clients.uploads import Answer
from attack.target import Target
from tests.download.conftest import CUSTOM, VGG16, saved
from tests.download.site import running
from tests.serving.photos.hostile import BOMBS, ODD_BUT_WHOLE, ODD_METADATA, tiff_of_one_tile_for_all

__all__ = ["comments", "gif", "long_png", "premultiplied", "replaced_weights", "tiffs"]


def _refused(answers: list[Answer]) -> tuple[str, bool]:
    statuses = sorted({answer.status for answer in answers})
    slowest = max(answer.seconds for answer in answers)
    return f"{', '.join(map(str, statuses))} after {slowest:.2f} s at most", set(statuses) <= {400, 413}


def gif(target: Target) -> tuple[str, bool]:
    return _refused([target.uploads.post(0, "gif of 43 bytes", BOMBS["gif of 43 bytes"]())])


def tiffs(target: Target) -> tuple[str, bool]:
    tiff = tiff_of_one_tile_for_all()
    return _refused(target.uploads.send([("tiff of one tile for all", tiff)] * 4))


def long_png(target: Target) -> tuple[str, bool]:
    names = ("png of one pixel by fifty million", "png of fifty million pixels by one")
    return _refused(target.uploads.send([(name, BOMBS[name]()) for name in names]))


def comments(target: Target) -> tuple[str, bool]:
    files = [(name, ODD_METADATA[name]()) for name in ODD_METADATA if "comment of" in name]
    answers = target.uploads.send(files, "/result/") + target.uploads.send(files)
    return f"{len(answers)} answers, all of them 200", {answer.status for answer in answers} == {200}


def premultiplied(target: Target) -> tuple[str, bool]:
    name = "tiff of grey that is multiplied by its transparency"
    answer = target.uploads.post(0, name, ODD_BUT_WHOLE[name]())
    return str(answer.status), answer.status == 200


def replaced_weights(_: Target) -> tuple[str, bool]:
    """The published file, fetched once; then another that fits the model as well."""
    with TemporaryDirectory() as folder, running() as site:
        dest = Path(folder)
        (dest / VGG16).write_bytes(b"not asked for")
        arguments = ["--dest", folder, "--base-url", site.url]
        said = StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            site.files = {CUSTOM: saved(FruitCNN().state_dict())}
            first = download_models.main(arguments)
            before = (dest / CUSTOM).read_bytes()
            site.files = {
                CUSTOM: saved({key: torch.zeros_like(value) for key, value in FruitCNN().state_dict().items()})
            }
            site.validators = {"ETag": '"2"'}
            second = download_models.main([*arguments, "--force"])
        held = (first, second) == (0, 1) and (dest / CUSTOM).read_bytes() == before
    return "refused, and what was there stays" if held else "taken", held
