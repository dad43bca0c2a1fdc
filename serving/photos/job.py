"""What the server and the processes that decode photos agree on."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .view import View

__all__ = ["ASKED", "LIGHT", "Job", "Limits", "Photo"]

LIGHT = 5_000_000
"""Pixels that any format is decoded from in a fraction of a second, and in a few dozen megabytes."""


ASKED = struct.Struct("=II")
"""What a worker is told first: how many bytes the photo has, and the pickled job that follows."""


@dataclass(frozen=True)
class Job:
    """What is wanted of a photo: what a model sees of it, made of one with sides no shorter than ``at_least``.

    Where ``preview`` says how long, a JPEG, too.
    """

    view: View
    max_pixels: int
    at_least: int
    preview: int | None = None


@dataclass(frozen=True)
class Photo:
    """What was made of a file: what the model sees, ``(height, width, 3)``, and a JPEG where that was wanted."""

    pixels: NDArray[np.uint8]
    preview: bytes


@dataclass(frozen=True)
class Limits:
    """What a worker may take: processor time for one photo, and megabytes (10⁶) beyond what it starts with.

    A ``heavy`` one reads photos of more than ``LIGHT`` pixels. Where the system does not limit a process's memory
    (macOS), only the time holds.
    """

    cpu_s: float
    megabytes: int
    heavy: bool = False
