"""Pictures for tests, and the files that hold them."""

import struct
import zlib
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

from serving.photos.view import View

__all__ = ["CORNERS", "SIDE", "VIEW", "corners", "encoded", "noise", "png", "quarters", "scenery"]

pillow_heif.register_heif_opener()

SIDE = 150
VIEW = View(SIDE, SIDE)
"""What the models in these tests see."""

CORNERS = ("red", "green", "blue", "white")
"""What ``quarters`` shows: top left, top right, bottom left, bottom right."""
_COLOURS = {"red": (220, 30, 30), "green": (30, 180, 40), "blue": (30, 40, 210), "white": (240, 240, 240)}


def quarters(width: int = 480, height: int = 360) -> Image.Image:
    """Four quarters, each of its own colour: turned or mirrored, it is another picture."""
    colours = np.array([_COLOURS[name] for name in CORNERS], np.uint8).reshape(2, 2, 3)
    return Image.fromarray(colours).resize((width, height), Image.Resampling.NEAREST)


def corners(image: Image.Image) -> tuple[str, ...]:
    """The colours in the middle of an RGB picture's quarters, by the names of the nearest in ``quarters``."""
    width, height = image.size
    found = []
    for x, y in ((1, 1), (3, 1), (1, 3), (3, 3)):
        pixel = np.array(image.getpixel((x * width // 4, y * height // 4)))
        found.append(min(_COLOURS, key=lambda name: float(np.abs(pixel - _COLOURS[name]).sum())))
    return tuple(found)


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """Every pixel its own colour: no two ways to scale it agree by chance."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


@cache
def scenery(width: int, height: int, seed: int = 0) -> Image.Image:
    """Soft shapes and a little grain, as in a photo."""
    coarse = noise(12, 9, seed).resize((width, height), Image.Resampling.BICUBIC)
    return Image.blend(coarse, noise(width, height, seed + 1), 0.05)


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    """The file that holds a picture."""
    file = BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, colour_type: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of pixels that Pillow does not write, or of sizes that it had better not; ``rows`` are unfiltered."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    stride = len(rows) // height if rows else 0
    filtered = b"".join(b"\0" + rows[at : at + stride] for at in range(0, len(rows), stride or 1))
    body = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(filtered)), (b"IEND", b"")]
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in body
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)
