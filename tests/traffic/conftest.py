"""A photo, and systems whose split may be changed."""

from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ..system import System


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A JPEG of 300×300 pixels."""
    pixels = np.random.default_rng(0).integers(0, 255, (30, 30, 3), dtype=np.uint8)
    out = BytesIO()
    Image.fromarray(pixels).resize((300, 300)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system of this module's own."""
    with System(tmp_path_factory.mktemp("traffic")) as started:
        yield started
