"""What was fetched first is what is taken ever after, unless somebody says otherwise."""

import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from app_custom.app.model import FruitCNN
from tests.download.conftest import CUSTOM, Download, saved
from tests.download.site import Site


@pytest.fixture(scope="module")
def another() -> bytes:
    """Other weights, which fit the model as well."""
    return saved({key: torch.zeros_like(tensor) for key, tensor in FruitCNN().state_dict().items()})


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def test_the_first_fetch_pins(dest: Path, download: Download, custom: bytes) -> None:
    assert download().status == 0

    assert (dest / f"{CUSTOM}.sha256").read_text() == f"{digest(custom)}  {CUSTOM}\n"
    assert download("--force").status == 0
    subprocess.run(["sha256sum", "--check", f"{CUSTOM}.sha256"], cwd=dest, check=True, capture_output=True)


def test_another_file_at_the_same_address_is_refused(
    site: Site, dest: Path, download: Download, custom: bytes, another: bytes
) -> None:
    assert download().status == 0
    site.files[CUSTOM] = another

    outcome = download("--force")

    assert outcome.status == 1
    assert (
        f"{CUSTOM} was not fetched from {site.url}: its SHA-256 is {digest(another)}, not {digest(custom)}. "
        "If it was replaced on purpose, say so with --expect. The file that was there stays.\n"
    ) in outcome.err
    assert (dest / CUSTOM).read_bytes() == custom
    assert not (dest / f"{CUSTOM}.part").exists()


def test_what_was_replaced_on_purpose_is_taken(
    site: Site, dest: Path, download: Download, custom: bytes, another: bytes
) -> None:
    assert download().status == 0
    site.files[CUSTOM] = another

    assert download("--force", "--expect", f"custom={digest(another).upper()}").status == 0
    assert (dest / CUSTOM).read_bytes() == another
    assert download().status == 0
    site.files[CUSTOM] = custom
    assert download("--force").status == 1


def test_a_hash_that_is_known_beforehand(
    site: Site, dest: Path, download: Download, custom: bytes, another: bytes
) -> None:
    site.files[CUSTOM] = another
    assert download("--expect", f"custom={digest(custom)}").status == 1
    assert not (dest / CUSTOM).exists()
    assert not (dest / f"{CUSTOM}.sha256").exists()

    site.files[CUSTOM] = custom
    assert download("--expect", f"custom={digest(custom)}").status == 0


def test_a_file_that_changed_where_it_lies_is_told(
    site: Site, dest: Path, download: Download, custom: bytes, another: bytes
) -> None:
    assert download().status == 0
    (dest / CUSTOM).write_bytes(another)

    outcome = download()

    assert outcome.status == 1
    told = f"{dest / CUSTOM}: its SHA-256 is {digest(another)}, not {digest(custom)} (--force fetches it again).\n"
    assert outcome.err == told
    assert download("--force").status == 0
    assert (dest / CUSTOM).read_bytes() == custom


@pytest.mark.parametrize("text", ["custom", "custom=", "custom=abc", f"nobody={'0' * 64}", f"app_custom={'0' * 64}"])
def test_an_expectation_that_is_none(text: str, download: Download, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        download("--expect", text)

    assert f"{text!r} is not VARIANT=SHA256: custom or vgg16, and 64 hexadecimal digits" in capsys.readouterr().err
