"""Photos in folders named after their class: which there are, which validate, and what a model sees of them."""

from collections import Counter
from collections.abc import Collection, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from serving.photos.pixels import to_pixels
from serving.photos.view import View
from variants import CLASSES

__all__ = ["CLASSES", "MEAN", "SIDE", "STD", "Photo", "find", "load", "pixels", "shares", "split"]

SIDE = 150
MEAN = (0.485, 0.456, 0.406)  # of RGB in [0, 1]
STD = (0.229, 0.224, 0.225)
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


class Photo(NamedTuple):
    """One photo of a labelled folder."""

    path: Path
    label: int

    @property
    def source(self) -> str:
        """Where it comes from: its file's name up to the first underscore."""
        return self.path.stem.split("_")[0]

    @property
    def name(self) -> str:
        """The class and the file's name, wherever the folder lies."""
        return f"{CLASSES[self.label]}/{self.path.name}"


def find(folder: Path) -> list[Photo]:
    """Every photo in ``folder/<class>/``, sorted by class and name; ``FileNotFoundError`` where a class has none."""
    found = [sorted(p for p in (folder / name).glob("*") if p.suffix.lower() in _SUFFIXES) for name in CLASSES]
    if missing := [name for name, paths in zip(CLASSES, found, strict=True) if not paths]:
        raise FileNotFoundError(f"no photos of {', '.join(missing)} in {folder}: each class needs a folder of its name")
    return [Photo(path, label) for label, paths in enumerate(found) for path in paths]


def split(photos: Sequence[Photo], groups: Sequence[int], known: Collection[Photo] = ()) -> tuple[list[int], list[int]]:
    """Places in ``photos`` that train, and that validate; no group is on both sides.

    Of every class and source a tenth of its groups validates, as their names decide. Where some photos are ``known`` to
    have been set aside before, it is those again, and what shows the same.
    """
    aside = {group for photo, group in zip(photos, groups, strict=True) if photo in known}
    if not aside:
        kinds: dict[int, tuple[int, str]] = {}
        for place in sorted(range(len(photos)), key=lambda place: sha256(photos[place].name.encode()).digest()):
            kinds.setdefault(groups[place], (photos[place].label, photos[place].source))
        members = [[group for group in kinds if kinds[group] == kind] for kind in set(kinds.values())]
        aside = {group for alike in members for group in alike[5::10]}
    sides = [[place for place, group in enumerate(groups) if (group in aside) == held] for held in (False, True)]
    return sides[0], sides[1]


def shares(photos: Sequence[Photo], groups: Sequence[int]) -> list[float]:
    """How often to draw each: classes alike, in them sources by the root of their groups, in these groups alike.

    So neither a large source nor many frames of one fruit decide what a class looks like.
    """
    kinds = [(photo.label, photo.source) for photo in photos]
    sizes = Counter(zip(kinds, groups, strict=True))
    counts = Counter(kind for kind, _ in sizes)
    totals = [sum(count**0.5 for (of, _), count in counts.items() if of == label) for label in range(len(CLASSES))]
    pairs = zip(kinds, groups, strict=True)
    return [counts[kind] ** -0.5 / sizes[kind, group] / totals[kind[0]] for kind, group in pairs]


def load(path: Path) -> Image.Image:
    """A photo upright and in RGB."""
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def pixels(image: Image.Image, side: int = SIDE) -> Tensor:
    """What a model of this ``side`` is given of ``image``, exactly as when it is served: uint8 ``(side, side, 3)``."""
    return torch.from_numpy(np.array(to_pixels(image, View(side, side))))
