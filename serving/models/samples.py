"""Photos to try a model on."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..photos.view import View
from .files.folder import Folder

__all__ = ["sample", "samples"]

# The project's own, since every copy of it has them.
_PHOTOS = Path(__file__).parents[2] / "sample_data"


def samples(folder: Folder) -> list[Path]:
    """Photos that show what reaches the layers of a model: in its own folder ``calibration``, else the project's."""
    return _in(folder.home / "calibration") or _in(_PHOTOS)


def sample(view: View) -> NDArray[np.uint8]:
    """A picture ``(height, width, 3)`` of soft shapes in all colours, the same everywhere."""
    y, x = np.mgrid[0 : view.height, 0 : view.width] / max(view.height, view.width)
    waves: Iterable[NDArray[np.float64]] = (np.sin(9 * x + 4 * y), np.cos(7 * y - 3 * x), np.sin(11 * x * y + 2))
    return np.stack([127.5 + 100 * wave for wave in waves], -1).astype(np.uint8)


def _in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
