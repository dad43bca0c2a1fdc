from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.classes import APPLE
from tests.training.conftest import Orchard
from training.photos import CLASSES, SIDE, find, load, pixels


def test_finds_photos_by_class_and_source(orchard: Orchard) -> None:
    folder = orchard(4)
    (folder / APPLE / "notes.txt").write_text("no photo")
    photos = find(folder)
    assert [photo.label for photo in photos] == [label for label in range(len(CLASSES)) for _ in range(4)]
    assert [photo.source for photo in photos[:4]] == ["shop", "web", "web", "web"]


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"no photos of {', '.join(CLASSES)} in"):
        find(tmp_path)


def test_load_turns_a_photo_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert load(tmp_path / "turned.jpg").size == (20, 40)


def test_pixels_are_the_middle_of_the_photo() -> None:
    image = Image.new("RGB", (600, 300), "red")
    image.paste("blue", (150, 0, 450, 300))
    seen = pixels(image)
    assert seen.shape == (SIDE, SIDE, 3)
    assert seen.dtype == torch.uint8
    assert (seen[:, 3:-3] == torch.tensor([0, 0, 255])).all()
