"""Which photos train and which validate: fixed by their names, so that no run ever sees another split."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from training.photos import CLASSES, Photo

__all__ = ["VALIDATION", "split"]

VALIDATION = 0.15


def split(photos: Sequence[Photo]) -> tuple[list[Photo], list[Photo]]:
    """Training and validation photos; of every class and source the ``VALIDATION`` share whose names hash lowest."""
    groups: defaultdict[tuple[int, str], list[Photo]] = defaultdict(list)
    for photo in photos:
        groups[photo.label, photo.source].append(photo)
    held = {photo for group in groups.values() for photo in sorted(group, key=_rank)[: round(VALIDATION * len(group))]}
    return [photo for photo in photos if photo not in held], [photo for photo in photos if photo in held]


def _rank(photo: Photo) -> bytes:
    return hashlib.sha256(f"{CLASSES[photo.label]}/{photo.path.name}".encode()).digest()
