"""What every test may ask for."""

import os
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from local.parts import ROOT
from tests.system import System

# A snap, which Ubuntu's chromium-browser is, sees no files below /tmp.
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""


@pytest.fixture(scope="session")
def samples() -> Path:
    """The project's own photos, a folder a class."""
    return ROOT / "sample_data"


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A JPEG of 300×300 pixels."""
    pixels = np.random.default_rng(0).integers(0, 255, (30, 30, 3), dtype=np.uint8)
    out = BytesIO()
    Image.fromarray(pixels).resize((300, 300)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture(scope="session")
def shared_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A running system that tests only send requests to; one that kills parts or changes the split makes its own."""
    with System(tmp_path_factory.mktemp("system")) as running:
        yield running


def require(name: str, present: bool, what: str) -> None:
    """Skips the test where ``what`` is absent, unless ``REQUIRE_<name>`` is set: then that is a failure."""
    if present:
        return
    if os.environ.get(f"REQUIRE_{name}"):
        pytest.fail(f"REQUIRE_{name} is set, but there is no {what}.")
    pytest.skip(f"no {what}")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path."""
    require("BROWSER", bool(CHROMIUM), "chromium or google-chrome")
    return CHROMIUM


@pytest.fixture(scope="session")
def docker_compose() -> list[str]:
    """The command that is Compose here."""
    require("DOCKER", shutil.which("docker-compose") is not None, "docker-compose")
    return ["docker-compose"]


@pytest.fixture(scope="session")
def fruits() -> Path:
    """Real photos, a folder a class, that are not the project's to give away: beside it, or where FRUITS says."""
    folder = Path(os.environ.get("FRUITS", ROOT.parent / "shared" / "fruits"))
    require("FRUITS", folder.is_dir(), f"folder {folder}")
    return folder
