from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

import download_models
from app_custom.app.model import FruitCNN
from app_vgg16.app.model import FruitVGG16
from tests.download.site import Site, running

CUSTOM, VGG16 = "fruit_classifier_state_dict.pt", "transfer_learning_model.pt"


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


Download = Callable[..., Outcome]


def saved(content: object) -> bytes:
    """What ``torch.save`` writes."""
    file = BytesIO()
    torch.save(content, file)
    return file.getvalue()


def files(folder: Path) -> list[Path]:
    """What is in a folder, but for the hashes of what was fetched."""
    return [path for path in folder.iterdir() if path.suffix != ".sha256"]


@pytest.fixture(scope="session")
def custom() -> bytes:
    """A file like the published one, 8.9 MB."""
    return saved(FruitCNN().state_dict())


@pytest.fixture(scope="session")
def vgg16() -> bytes:
    """A file with the published one's keys and shapes, every tensor a single zero that is repeated."""
    with torch.device("meta"):
        wanted = FruitVGG16().state_dict()
    return saved({key: torch.zeros(1).expand(tensor.shape) for key, tensor in wanted.items()})


@pytest.fixture
def site(custom: bytes, vgg16: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    with running() as site:
        site.files = {CUSTOM: custom, VGG16: vgg16}
        yield site


@pytest.fixture
def dest(tmp_path: Path) -> Iterator[Path]:
    """A folder in which VGG-16's file is already, so that one file is left to fetch."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / VGG16).write_bytes(b"already here")
    yield folder
    for file in folder.iterdir():  # pytest keeps the folders of the last runs
        file.unlink()


@pytest.fixture
def download(site: Site, dest: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Download:
    """Runs the script in this process, from ``site`` to ``dest``, without the pauses."""
    monkeypatch.setattr(download_models, "PAUSES_S", (0, 0, 0))
    monkeypatch.setattr(download_models, "TIMEOUT_S", (5, 5))

    def run(*arguments: str) -> Outcome:
        status = download_models.main(["--dest", str(dest), "--base-url", site.url, *arguments])
        return Outcome(status, *capsys.readouterr())

    return run
