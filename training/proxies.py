"""Validation photos as they might come from elsewhere: stand-ins for phone and shop photos that nobody here has seen.

Made with Pillow, apart from `training.augment`, so that they are not the views trained on.
"""

import io
import random
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from torch import Tensor

from training.photos import Photo, load, pixels, trim

__all__ = ["CONDITIONS", "view"]

_LARGE = 300  # pixels, the shorter side of a made-up photo: twice what a model sees


def _phone(photo: Image.Image, others: Sequence[Image.Image], dice: random.Random) -> Image.Image:
    """Enlarged, sharpened by the camera, in lamplight or shade, held at an angle, noisy, through JPEG."""
    image = _enlarged(trim(photo)).filter(ImageFilter.UnsharpMask(2, dice.randint(80, 220), 2))
    image = image.rotate(dice.uniform(-12, 12), Image.Resampling.BICUBIC)
    corners = 0.11  # of each side: what turning leaves black
    x, y = (round(corners * side) for side in image.size)
    return _developed(image.crop((x, y, image.width - x, image.height - y)), dice)


def _plate(photo: Image.Image, others: Sequence[Image.Image], dice: random.Random) -> Image.Image:
    """A round piece of the photo on a plate on a table."""
    table = Image.new("RGB", (400, 300), tuple(dice.randint(30, 220) for _ in range(3)))
    draw = ImageDraw.Draw(table)
    for y in range(0, 300, dice.randint(20, 66)):
        draw.line((0, y, 400, y + dice.randint(-7, 7)), tuple(dice.randint(20, 160) for _ in range(3)), 1)
    draw.ellipse((64, 14, 336, 286), (236, 236, 232))
    draw.ellipse((86, 36, 314, 264), (246, 246, 243), (200, 200, 200))
    size = dice.randint(134, 206)
    piece = _enlarged(trim(photo), size).crop((0, 0, size, size))
    mask = Image.new("L", (size, size))
    ImageDraw.Draw(mask).ellipse((3, 3, size - 3, size - 3), 255)
    left, top = 200 - size // 2 + dice.randint(-26, 26), 150 - size // 2 + dice.randint(-26, 26)
    table.paste(piece, (left, top), mask.filter(ImageFilter.GaussianBlur(2)))
    return _developed(table, dice)


def _pile(photo: Image.Image, others: Sequence[Image.Image], dice: random.Random) -> Image.Image:
    """The photo among eight more of its class, close together."""
    sheet = Image.new("RGB", (300, 300))
    chosen = [photo, *dice.sample(list(others), min(8, len(others)))]
    dice.shuffle(chosen)
    for index in range(9):
        tile = _enlarged(trim(chosen[index % len(chosen)]), 114).crop((0, 0, 114, 114)).rotate(90 * dice.randrange(4))
        sheet.paste(tile, (index % 3 * 100 - 7, index // 3 * 100 - 7))
    return _developed(sheet, dice)


def _small(photo: Image.Image, others: Sequence[Image.Image], dice: random.Random) -> Image.Image:
    """The photo held in front of a larger scene: fruit far away, out of the middle."""
    image = _enlarged(trim(photo), 140)
    scene = Image.new("RGB", (400, 300), tuple(dice.randint(40, 200) for _ in range(3)))
    rough = Image.fromarray(np.random.default_rng(dice.randrange(2**32)).integers(0, 256, (300, 400), np.uint8))
    scene = Image.blend(scene, rough.convert("RGB"), 0.25).filter(ImageFilter.GaussianBlur(1))
    scene.paste(
        image, (200 - image.width // 2 + dice.randint(-40, 40), 150 - image.height // 2 + dice.randint(-40, 40))
    )
    return _developed(scene, dice)


def _close(photo: Image.Image, others: Sequence[Image.Image], dice: random.Random) -> Image.Image:
    """The middle of the photo only."""
    image = trim(photo)
    width, height = image.size
    side = min(width, height) * dice.uniform(0.5, 0.65)
    x, y = width / 2, height / 2
    return _developed(
        _enlarged(image.crop((int(x - side / 2), int(y - side / 2), int(x + side / 2), int(y + side / 2)))), dice
    )


def _enlarged(image: Image.Image, shorter: int = _LARGE) -> Image.Image:
    scale = shorter / min(image.size)
    return image.resize(
        (max(shorter, round(image.width * scale)), max(shorter, round(image.height * scale))), Image.Resampling.BICUBIC
    )


def _developed(image: Image.Image, dice: random.Random) -> Image.Image:
    """Colour temperature, exposure, contrast, noise at full size, and JPEG."""
    warm = dice.uniform(-0.15, 0.15)
    balanced = np.asarray(image, np.float32) * (1 + warm, 1, 1 - warm)
    balanced = 255 * np.clip(balanced / 255, 0, 1) ** dice.uniform(0.75, 1.4)
    balanced += np.random.default_rng(dice.randrange(2**32)).normal(0, dice.uniform(2, 16), balanced.shape)
    image = Image.fromarray(balanced.clip(0, 255).astype(np.uint8))
    image = ImageEnhance.Contrast(image).enhance(dice.uniform(0.8, 1.3))
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=dice.randint(50, 90))
    return Image.open(packed).convert("RGB")


Condition = Callable[[Image.Image, Sequence[Image.Image], random.Random], Image.Image]

CONDITIONS: dict[str, Condition] = {
    "as they are": lambda photo, _others, _dice: photo,
    "margins trimmed": lambda photo, _others, _dice: trim(photo),
    "as by a phone": _phone,
    "close up": _close,
    "on a plate": _plate,
    "far away": _small,
    "in a pile": _pile,
}


def view(photos: Sequence[Photo], condition: str) -> Tensor:
    """``photos`` under a condition, the same at every call: uint8 ``(N, 150, 150, 3)``."""
    images = [load(photo.path) for photo in photos]
    by_class = {
        label: [i for i, p in zip(images, photos, strict=True) if p.label == label]
        for label in {p.label for p in photos}
    }
    make = CONDITIONS[condition]
    return torch.stack(
        [
            pixels(make(image, by_class[photo.label], _dice(f"{condition}/{photo.path.name}")))
            for image, photo in zip(images, photos, strict=True)
        ]
    )


def _dice(seed: str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - for photos, not for secrets
