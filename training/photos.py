"""Photos in folders named after their class: which there are, how they are cropped, what a model sees of them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from serving.photos.pixels import to_pixels
from serving.photos.view import View
from variants import CLASSES

__all__ = ["CLASSES", "MEAN", "SIDE", "STD", "Photo", "find", "load", "normalise", "pixels"]

SIDE = 150
MEAN = (0.485, 0.456, 0.406)  # of RGB in [0, 1]
STD = (0.229, 0.224, 0.225)

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


class Photo(NamedTuple):
    """One photo of a labelled folder. ``source`` is its name up to the first underscore."""

    path: Path
    label: int

    @property
    def source(self) -> str:
        return self.path.stem.split("_")[0]

    @property
    def name(self) -> str:
        """The class and the file's name, wherever the folder lies."""
        return f"{CLASSES[self.label]}/{self.path.name}"


def find(folder: Path) -> list[Photo]:
    """Every photo in ``folder/<class>/``, sorted by class and name; ``FileNotFoundError`` where a class has none."""
    found = [
        Photo(path, label)
        for label, name in enumerate(CLASSES)
        for path in sorted((folder / name).glob("*"))
        if path.suffix.lower() in _SUFFIXES
    ]
    missing = [name for label, name in enumerate(CLASSES) if all(photo.label != label for photo in found)]
    if missing:
        raise FileNotFoundError(f"no photos of {', '.join(missing)} in {folder}: each class needs a folder of its name")
    return found


def load(path: Path) -> Image.Image:
    """A photo upright and in RGB."""
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def pixels(image: Image.Image) -> Tensor:
    """What a model is given of ``image``, exactly as when it is served: uint8 ``(150, 150, 3)``."""
    return torch.from_numpy(np.array(to_pixels(image, View(SIDE, SIDE))))


def normalise(batch: Tensor) -> Tensor:
    """uint8 ``(N, H, W, 3)`` to normalised float ``(N, 3, H, W)``, channels last in memory."""
    scaled = batch.permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return ((scaled - mean) / std).contiguous(memory_format=torch.channels_last)
