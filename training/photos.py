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

__all__ = ["CLASSES", "MEAN", "SIDE", "STD", "Photo", "find", "load", "normalise", "pixels", "trim"]

SIDE = 150
MEAN = (0.485, 0.456, 0.406)  # of RGB in [0, 1]
STD = (0.229, 0.224, 0.225)

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
_WHITE = 244  # a grey level that JPEG's ringing in a white margin stays above


class Photo(NamedTuple):
    """One photo of a labelled folder. ``source`` is its name up to the first underscore."""

    path: Path
    label: int

    @property
    def source(self) -> str:
        return self.path.stem.split("_")[0]


def find(folder: Path) -> list[Photo]:
    """Every photo in ``folder/<class>/``, sorted by class and name."""
    found = [
        Photo(path, label)
        for label, name in enumerate(CLASSES)
        for path in sorted((folder / name).glob("*"))
        if path.suffix.lower() in _SUFFIXES
    ]
    if not found:
        raise FileNotFoundError(f"no photos in {folder}/{{{','.join(CLASSES)}}}")
    return found


def load(path: Path) -> Image.Image:
    """A photo upright and in RGB."""
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def trim(image: Image.Image) -> Image.Image:
    """``image`` without white margins; whole, where too little would be left."""
    ink = np.asarray(image.convert("L")) < _WHITE
    rows, columns = (np.flatnonzero(ink.mean(axis) > 0.02) for axis in (1, 0))
    if len(rows) < 8 or len(columns) < 8:
        return image
    return image.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))


def pixels(image: Image.Image) -> Tensor:
    """What a model is given of ``image``, exactly as when it is served: uint8 ``(150, 150, 3)``."""
    return torch.from_numpy(np.array(to_pixels(image, View(SIDE, SIDE))))


def normalise(batch: Tensor) -> Tensor:
    """uint8 ``(N, H, W, 3)`` to normalised float ``(N, 3, H, W)``, channels last in memory."""
    scaled = batch.permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return ((scaled - mean) / std).contiguous(memory_format=torch.channels_last)
