"""The photos that every server gets, made from one of the project's own: the same bytes on every machine."""

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["SIZES", "Size", "make_photos"]


@dataclass(frozen=True)
class Size:
    """A photo's name, its sides in pixels, about how many bytes it has, and its noise, of 255."""

    name: str
    width: int
    height: int
    bytes: int
    noise: int = 4


# From a web page, from a messenger, from a phone's camera in good light and in bad.
SIZES = (
    Size("22 KB", 400, 300, 22_000),
    Size("100 KB", 1024, 768, 100_000),
    Size("12 Mpx", 4000, 3000, 800_000, noise=1),
    Size("12 Mpx, noisy", 4000, 3000, 3_500_000),
)


def make_photos(samples: Path, sizes: Iterable[Size] = SIZES) -> dict[str, bytes]:
    """A JPEG of each size, by name, of the first sample photo; where there is none, of a drawn one."""
    original = _original(samples)
    return {size.name: _fit(_resize(original, size), size.bytes) for size in sizes}


def _original(samples: Path) -> Image.Image:
    for path in sorted(samples.rglob("*.jpg")):
        with Image.open(path) as image:
            return image.convert("RGB")
    y, x = np.mgrid[0:768, 0:1024]
    fruit = np.hypot(x - 512, y - 400) < 280
    light = np.clip(1.2 - np.hypot(x - 420, y - 300) / 700, 0, 1)[..., np.newaxis]
    return Image.fromarray((light * np.where(fruit[..., np.newaxis], (200, 40, 30), (190, 180, 160))).astype(np.uint8))


def _resize(image: Image.Image, size: Size) -> Image.Image:
    """Cropped to the shape of ``size`` and scaled, with a sensor's noise."""
    shape = min(image.width / size.width, image.height / size.height)
    left, top = (image.width - size.width * shape) / 2, (image.height - size.height * shape) / 2
    box = (left, top, left + size.width * shape, top + size.height * shape)
    scaled = np.asarray(image.resize((size.width, size.height), Image.Resampling.BICUBIC, box), np.float32)
    noise = np.random.default_rng(0).normal(0, size.noise, scaled.shape[:2])[..., np.newaxis]
    return Image.fromarray((scaled + noise).clip(0, 255).astype(np.uint8))


def _fit(image: Image.Image, size: int) -> bytes:
    """The JPEG of the highest quality that has no more than ``size`` bytes."""
    low, high = 1, 95
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(_jpeg(image, middle)) <= size else (low, middle - 1)
    return _jpeg(image, low)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    out = BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()
