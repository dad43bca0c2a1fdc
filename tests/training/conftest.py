"""Generated fruit: a disc, a cluster of discs, or an ellipse, in its colours, on white or on a table."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

from tests.classes import APPLE, LEMON
from training import bank
from training.photos import CLASSES

Orchard = Callable[[int], Path]


def fruit(name: str, dice: random.Random, size: tuple[int, int] = (104, 128), table: bool = False) -> Image.Image:
    """A drawing of one fruit."""
    image = Image.new("RGB", size, (90, 60, 40) if table else "white")
    draw = ImageDraw.Draw(image)
    x, y = size[0] / 2 + dice.uniform(-5, 5), size[1] / 2 + dice.uniform(-5, 5)
    if name == APPLE:
        draw.ellipse((x - 30, y - 30, x + 30, y + 30), (200, dice.randrange(60), 40))
    elif name == LEMON:
        draw.ellipse((x - 38, y - 22, x + 38, y + 22), (240, 220, dice.randrange(60)))
    else:
        for _ in range(30):
            a, b = x + dice.uniform(-22, 22), y + dice.uniform(-28, 28)
            draw.ellipse((a - 7, b - 7, a + 7, b + 7), (70, 20, dice.randrange(90, 140)))
    return image


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(bank, "CACHE", tmp_path / "cache")


@pytest.fixture
def orchard(tmp_path: Path) -> Orchard:
    """A function that makes a folder of ``count`` photos of each class, a quarter of them from a second source."""

    def grow(count: int) -> Path:
        dice = random.Random(0)
        for name in CLASSES:
            folder = tmp_path / "photos" / name
            folder.mkdir(parents=True, exist_ok=True)
            for index in range(count):
                shop = index % 4 == 3
                image = fruit(name, dice, (160, 160) if shop else (104, 128), table=shop)
                image.save(folder / f"{'shop' if shop else 'web'}_{index:04}.jpg", quality=95)
        return tmp_path / "photos"

    return grow
