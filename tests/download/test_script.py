"""The script as a user runs it, and what the machine it runs on can do to it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from mmap import ACCESS_READ, mmap
from pathlib import Path

import pytest
import torch

import download_models
from app_vgg16.app.model import FruitVGG16
from tests.download.conftest import CUSTOM, VGG16, Download, files
from tests.download.site import Site, serve, status

SCRIPT = Path(download_models.__file__)
MB = 1 << 20


@pytest.fixture(scope="session")
def published_vgg16(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mmap]:
    """A file like the published one in full, 541 MB."""
    path = tmp_path_factory.mktemp("published") / VGG16
    with torch.device("meta"):
        wanted = FruitVGG16().state_dict()
    torch.save({key: torch.zeros(tensor.shape) for key, tensor in wanted.items()}, path)
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        path.unlink()
        yield content


def start(*arguments: object, path: Path | None = None) -> subprocess.Popen[str]:
    """``python download_models.py`` from another folder; modules in ``path`` hide installed ones."""
    return subprocess.Popen(
        [sys.executable, SCRIPT, *map(str, arguments)],
        cwd=SCRIPT.parent / "tests",
        env=os.environ | ({"PYTHONPATH": str(path)} if path else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: object, path: Path | None = None) -> tuple[int, str, str]:
    with start(*arguments, path=path) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_fetches_both_in_full(site: Site, dest: Path, custom: bytes, published_vgg16: mmap) -> None:
    (dest / VGG16).unlink()
    site.files[VGG16] = published_vgg16
    site.plan += [serve, partial(serve, until=300 * MB)]

    code, out, err = run("--dest", dest, "--base-url", f"{site.url}/")

    assert code == 0, err
    assert [line.partition(": ")[2] for line in out.splitlines()] == [
        f"whole and checked, 2,232,931 parameters, SHA-256 {sha256(custom).hexdigest()}",
        f"whole and checked, 135,310,147 parameters, SHA-256 {sha256(published_vgg16).hexdigest()}",
    ]
    size = f"{len(published_vgg16) / 1e6:.1f}"
    assert f"{size}/{size} MB" in err
    assert site.asked[2:] == [(VGG16, "bytes=314572799-")]
    assert {file.name: file.stat().st_size for file in files(dest)} == {
        CUSTOM: len(custom),
        VGG16: len(published_vgg16),
    }


def test_a_failure_is_one_sentence(site: Site, dest: Path) -> None:
    site.plan += [status(404)]

    code, out, err = run("--dest", dest, "--base-url", site.url)

    assert code == 1
    assert out == f"{dest / VGG16} is already there (--force fetches it again).\n"
    assert err.splitlines()[1:] == [
        f"{CUSTOM} was not fetched from {site.url}: the server answered 404 Not Found. "
        "Try again later, or give another address with --base-url. The starter weights go on serving."
    ]


def test_ctrl_c(site: Site, dest: Path, download: Download, custom: bytes) -> None:
    site.plan += [partial(serve, until=4 * MB, hang=True)]
    # A shell starts its background jobs deaf to SIGINT, and so would be what they start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with start("--dest", dest, "--base-url", site.url) as process:
            assert site.hung.wait(30)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
    finally:
        signal.signal(signal.SIGINT, before)

    assert process.returncode == 130
    assert err.splitlines()[-1] == "Interrupted. Run this again to go on where it stopped."
    assert "Traceback" not in err
    assert not (dest / CUSTOM).exists()
    assert download().status == 0
    assert (dest / CUSTOM).read_bytes() == custom


def test_ctrl_c_in_a_pause(site: Site, dest: Path, download: Download, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    site.plan += [status(500)]

    assert download().status == 130


def test_torch_is_wanted_only_for_a_check(site: Site, dest: Path, download: Download, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('No module named torch')")
    arguments = ("--dest", dest, "--base-url", site.url)

    code, _, err = run(*arguments, path=tmp_path)

    assert code == 1
    assert err.splitlines()[-1] == (
        f"{CUSTOM} was not fetched from {site.url}: checking it takes PyTorch (No module named torch). "
        "Install it (pip install torch) and run this again. The starter weights go on serving."
    )
    assert download().status == 0
    assert site.asked[1:] == [
        (CUSTOM, f"bytes={len(site.files[CUSTOM]) - 1}-")
    ]  # what was fetched then is not fetched again
    assert run(*arguments, path=tmp_path)[0] == 0


def test_torch_is_missing_in_this_process(download: Download, dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)

    outcome = download()

    assert outcome.status == 1
    assert "pip install torch" in outcome.err
    assert not (dest / CUSTOM).exists()


@pytest.mark.parametrize("package", ["requests", "rich"])
def test_says_which_package_is_missing(tmp_path: Path, package: str) -> None:
    (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError(name={package!r})")

    expected = f"download_models.py needs {package}. Install what it uses: pip install requests rich torch\n"
    assert run(path=tmp_path) == (1, "", expected)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk(site: Site, dest: Path, download: Download) -> None:
    (dest / f"{CUSTOM}.part").symlink_to("/dev/full")

    outcome = download()

    assert outcome.status == 1
    assert "No space left on device. Make room or give another folder with --dest" in outcome.err
    assert "The starter weights go on serving." in outcome.err
    assert not (dest / CUSTOM).exists()


def test_a_folder_that_cannot_be_made(site: Site, download: Download, dest: Path) -> None:
    outcome = download("--dest", str(dest / VGG16 / "models"))

    assert outcome.status == 1
    assert outcome.err.count("Not a directory") == 2
    assert site.asked == []


def test_by_default_each_file_goes_to_its_variant(
    site: Site, tmp_path: Path, custom: bytes, vgg16: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_models, "ROOT", tmp_path)

    assert download_models.main(["--base-url", site.url]) == 0
    assert (tmp_path / "app_custom" / "app" / "artifacts" / CUSTOM).read_bytes() == custom
    assert (tmp_path / "app_vgg16" / "app" / "artifacts" / VGG16).read_bytes() == vgg16


def test_help_names_the_published_address() -> None:
    code, out, _ = run("--help")

    assert code == 0
    address = "https://s3.eu-central-1.wasabisys.com/certifai/deployment-training-labs/models"
    assert address in "".join(out.split())
