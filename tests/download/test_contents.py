"""What arrives is checked before it takes its place, and what was there before is safe."""

import os
import pickle
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from app_custom.app.model import FruitCNN
from app_vgg16.app.model import FruitVGG16
from tests.download.conftest import CUSTOM, VGG16, Download, files, saved
from tests.download.site import Site, status


class Evil:
    """Makes the folder ``at`` when it is unpickled."""

    def __init__(self, at: Path) -> None:
        self.at = at

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.at),)


def test_says_what_came(site: Site, dest: Path, download: Download, custom: bytes, vgg16: bytes) -> None:
    (dest / VGG16).unlink()

    outcome = download()

    assert outcome.status == 0
    assert outcome.out == (
        f"{dest / CUSTOM}: whole and checked, 2,232,931 parameters, SHA-256 {sha256(custom).hexdigest()}\n"
        f"{dest / VGG16}: whole and checked, 135,310,147 parameters, SHA-256 {sha256(vgg16).hexdigest()}\n"
    )
    assert {file.name: file.read_bytes() for file in files(dest)} == {CUSTOM: custom, VGG16: vgg16}


def refused(download: Download, site: Site, dest: Path, content: bytes) -> str:
    """Why ``content`` is refused: that nothing stays of it, and the next run begins anew, is checked here."""
    good, site.files[CUSTOM] = site.files[CUSTOM], content
    outcome = download()
    assert outcome.status == 1
    assert outcome.out == f"{dest / VGG16} is already there (--force fetches it again).\n"
    assert [file.name for file in files(dest)] == [VGG16]
    site.files[CUSTOM] = good
    assert download().status == 0
    assert site.asked == [(CUSTOM, None), (CUSTOM, None)]
    before, _, reason = outcome.err.splitlines()[-1].partition(": it is not the published model: ")
    assert before == f"{CUSTOM} was not fetched from {site.url}"
    reason, _, advice = reason.partition(". ")
    assert advice == "Give another address with --base-url. The starter weights go on serving."
    return reason


def test_a_page_instead_of_weights(site: Site, dest: Path, download: Download) -> None:
    reason = refused(download, site, dest, b"<!DOCTYPE html><p>Please log in to the network")

    assert reason == "it is no PyTorch file, or a part of one (it begins with b'<!DOCTYPE html><')"


def test_an_empty_file(site: Site, dest: Path, download: Download) -> None:
    assert refused(download, site, dest, b"") == "it is no PyTorch file, or a part of one (it begins with b'')"


def test_a_truncated_file(site: Site, dest: Path, download: Download, custom: bytes) -> None:
    reason = refused(download, site, dest, custom[:-1000])

    assert reason.startswith("it is no PyTorch file, or a part of one (it begins with b'PK")


def test_one_wrong_bit(site: Site, dest: Path, download: Download, custom: bytes) -> None:
    content = bytearray(custom)
    content[5_000_000] ^= 1

    reason = refused(download, site, dest, bytes(content))

    assert reason == "it is damaged, or holds more than a state dict's tensors"


@pytest.mark.parametrize("pack", [pickle.dumps, lambda evil: saved({"fc1.weight": evil})], ids=["pickle", "torch.save"])
def test_code_in_a_file_does_not_run(site: Site, dest: Path, download: Download, tmp_path: Path, pack: object) -> None:
    assert callable(pack)

    reason = refused(download, site, dest, pack(Evil(tmp_path / "made")))

    assert reason == "it is damaged, or holds more than a state dict's tensors"
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "content", [torch.zeros(3), [torch.zeros(3)], {"fc1.weight": "x"}], ids=["tensor", "list", "text"]
)
def test_something_else_that_is_no_state_dict(site: Site, dest: Path, download: Download, content: object) -> None:
    reason = refused(download, site, dest, saved(content))

    assert reason == "it is damaged, or holds more than a state dict's tensors"


def test_a_missing_key(site: Site, dest: Path, download: Download) -> None:
    state = FruitCNN().state_dict()
    del state["fc2.bias"]

    assert refused(download, site, dest, saved(state)) == "fc2.bias is missing"


def test_an_extra_key(site: Site, dest: Path, download: Download) -> None:
    state = FruitCNN().state_dict() | {"fc4.bias": torch.zeros(3)}

    assert refused(download, site, dest, saved(state)) == "fc4.bias is not a key of this model"


def test_a_wrong_shape(site: Site, dest: Path, download: Download) -> None:
    reason = refused(download, site, dest, saved(FruitCNN(classes=4).state_dict()))

    assert reason == "fc3.weight has shape (4, 84), expected (3, 84)"


def test_the_other_model(site: Site, dest: Path, download: Download, vgg16: bytes) -> None:
    assert refused(download, site, dest, vgg16) == "conv1.weight is missing"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ({"ranks": (8, 8)}, "classifier.0.weight is missing"),
        ({"pooled": False}, "classifier.0.weight has shape (4096, 8192), expected (4096, 25088)"),
        ({"classes": 4}, "classifier.6.3.weight has shape (4, 256), expected (3, 256)"),
    ],
    ids=["starter", "folded", "classes"],
)
def test_vgg16_of_another_layout(site: Site, dest: Path, download: Download, kind: dict[str, int], reason: str) -> None:
    (dest / VGG16).unlink()
    with torch.device("meta"):
        wanted = FruitVGG16(**kind).state_dict()  # type: ignore[arg-type]
    site.files[VGG16] = saved({key: torch.zeros(1).expand(tensor.shape) for key, tensor in wanted.items()})

    outcome = download()

    assert outcome.status == 1
    assert f"{VGG16} was not fetched from {site.url}: it is not the published model: {reason}. " in outcome.err
    assert [file.name for file in files(dest)] == [CUSTOM]


def test_what_is_there_is_skipped(site: Site, dest: Path, download: Download) -> None:
    (dest / CUSTOM).write_bytes(b"also here")

    outcome = download()

    assert outcome == (
        0,
        "".join(f"{dest / name} is already there (--force fetches it again).\n" for name in (CUSTOM, VGG16)),
        "",
    )
    assert site.asked == []


def test_force_replaces(site: Site, dest: Path, download: Download, custom: bytes, vgg16: bytes) -> None:
    (dest / CUSTOM).write_bytes(b"old")

    assert download("--force").status == 0
    assert {file.name: file.read_bytes() for file in files(dest)} == {CUSTOM: custom, VGG16: vgg16}


@pytest.mark.parametrize("content", [None, b"<html>"], ids=["404", "page"])
def test_a_failed_force_replaces_nothing(site: Site, dest: Path, download: Download, content: bytes | None) -> None:
    (dest / CUSTOM).write_bytes(b"old")
    site.plan += [status(404)] if content is None else []
    site.files[CUSTOM] = content or b""

    outcome = download("--force")

    assert outcome.status == 1
    assert (dest / CUSTOM).read_bytes() == b"old"
    assert "Give another address" in outcome.err or "give another address" in outcome.err
    assert outcome.err.splitlines()[1].endswith("The file that was there stays.")


def test_one_failure_does_not_stop_the_other(site: Site, dest: Path, download: Download, vgg16: bytes) -> None:
    (dest / VGG16).unlink()
    site.plan += [status(403)]

    outcome = download()

    assert outcome.status == 1
    assert outcome.err.count("was not fetched") == 1
    assert {file.name: file.read_bytes() for file in files(dest)} == {VGG16: vgg16}
