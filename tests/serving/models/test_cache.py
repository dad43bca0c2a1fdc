"""What is kept between starts is what would be made anew."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from serving.models import cache as caching
from serving.models.cache import converted, key
from serving.models.convert import convert
from serving.models.engine import open_engine, open_reference
from serving.models.files.choice import choose
from serving.models.files.folder import Folder
from serving.variant import listed
from tests.classes import APPLE, GRAPES, LEMON
from tests.serving.models.given import converting_here, settings
from tests.serving.models.made import folder_in
from tests.serving.photos import encoded, quarters

CODE = """from torch import nn

from .parts import scale


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.last = nn.Linear(3, classes)

    def forward(self, photos):
        return scale * self.last(photos.mean((2, 3)))


def build(state, classes):
    return Net(len(classes))
"""
PHOTO = np.full((8, 8, 3), (250, 10, 90), np.uint8)


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Folder:
    """A small network in two files of code."""
    name = "cached_" + "".join(letter for letter in request.node.name if letter.isalnum())
    made = folder_in(tmp_path, name, "batch = 1\n[input]\nsize = 8\n", CODE, "numpy\n# why\n")
    (made.path / "parts.py").write_text("scale = 1\n")
    torch.manual_seed(0)
    torch.save({"last.weight": torch.randn(3, 3), "last.bias": torch.zeros(3)}, made.artifacts / "a.pt")
    return made


@pytest.fixture(autouse=True)
def here() -> Iterator[None]:
    with converting_here():
        yield


def test_what_is_cached_is_not_converted_again(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_engine(folder, choose(folder), settings(tmp_path / "cache")).score(PHOTO)
    monkeypatch.setattr(caching, "convert", lambda *_: pytest.fail("converted again"))

    again = open_engine(folder, choose(folder), settings(tmp_path / "cache")).score(PHOTO)

    assert np.array_equal(first, again)
    reference = open_reference(folder, choose(folder), settings(tmp_path))
    assert first == pytest.approx(reference.score(PHOTO), abs=0.02)


@pytest.mark.parametrize("what", ["weights", "model.py", "what it imports", "input", "output", "classes", "library"])
def test_whatever_the_answers_depend_on_makes_it_another(
    what: str, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key(folder, choose(folder), quantised=False)
    match what:
        case "weights":
            torch.save({"last.weight": torch.ones(3, 3), "last.bias": torch.zeros(3)}, folder.artifacts / "a.pt")
        case "model.py":
            folder.code.write_text(CODE.replace("scale *", "2 * scale *"))
        case "what it imports":
            (folder.path / "parts.py").write_text("scale = 2\n")
        case "input":
            (folder.path / "variant.toml").write_text("batch = 1\n[input]\nsize = 8\nmean = [0.5, 0.5, 0.5]\n")
        case "output":
            (folder.path / "variant.toml").write_text('batch = 1\noutput = "probabilities"\n[input]\nsize = 8\n')
        case "classes":
            classes = json.dumps([LEMON, APPLE, GRAPES])
            (folder.path / "variant.toml").write_text(f"batch = 1\nclasses = {classes}\n[input]\nsize = 8\n")
        case "library":
            version = metadata.version
            monkeypatch.setattr(metadata, "version", lambda name: "0.1" if name == "numpy" else version(name))
    changed = listed(folder.path)

    assert key(changed, choose(changed), quantised=False) != before


def test_other_calibration_photos_make_it_another(folder: Folder) -> None:
    model = choose(folder)
    before = [key(folder, model, quantised) for quantised in (False, True)]
    (folder.path / "calibration").mkdir()
    (folder.path / "calibration" / "a.jpg").write_bytes(encoded(quarters(), "JPEG"))

    after = [key(folder, model, quantised) for quantised in (False, True)]

    assert before[0] == after[0], "nothing is calibrated"
    assert before[1] != after[1]
    assert before[0] != before[1]


def test_changed_code_is_served_and_not_the_old_network(folder: Folder, tmp_path: Path) -> None:
    with converted(folder, choose(folder), tmp_path / "cache", False, 2) as first:
        pass
    (folder.path / "parts.py").write_text("scale = 0\n")

    with converted(folder, choose(folder), tmp_path / "cache", False, 2) as second:
        assert second != first
        assert second.parent == first.parent == tmp_path / "cache"


def answer(folder: Folder, cache: Path) -> NDArray[np.float32]:
    return open_engine(folder, choose(folder), settings(cache)).score(PHOTO)


def test_two_that_start_at_once(folder: Folder, tmp_path: Path) -> None:
    """While this one converts, another does all it has to; then this one comes to an end."""
    reference = open_reference(folder, choose(folder), settings(tmp_path)).score(PHOTO)
    others: list[NDArray[np.float32]] = []

    def slowly(*arguments: object) -> None:
        if not others:
            others.append(np.zeros(0, np.float32))
            others.append(answer(folder, tmp_path / "cache"))
        convert(*arguments)  # type: ignore[arg-type]

    with patch.object(caching, "convert", slowly):
        mine = answer(folder, tmp_path / "cache")

    assert mine == pytest.approx(reference, abs=0.02)
    assert others[1] == pytest.approx(reference, abs=0.02)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_cache_that_cannot_be_written(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    found = answer(folder, tmp_path / "file" / "cache")

    assert found == pytest.approx(open_reference(folder, choose(folder), settings(tmp_path)).score(PHOTO), abs=0.02)
    assert (tmp_path / "file").read_text() == "in the way"


def test_what_is_kept_may_be_read_by_others(folder: Folder, tmp_path: Path) -> None:
    """A container's network is made by root, and read by whoever serves it."""
    answer(folder, tmp_path / "cache")

    (kept,) = (tmp_path / "cache").iterdir()
    assert kept.stat().st_mode & 0o055 == 0o055
    assert all(file.stat().st_mode & 0o044 == 0o044 for file in kept.iterdir())


def test_a_conversion_that_fails_leaves_nothing(folder: Folder, tmp_path: Path) -> None:
    wrong = replace(folder, classes=("a", "b"))

    with pytest.raises(Exception, match=r"last\.weight has shape"):
        answer(wrong, tmp_path / "cache")

    assert not list((tmp_path / "cache").iterdir())
    shutil.rmtree(tmp_path / "cache")
