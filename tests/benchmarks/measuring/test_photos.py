from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.measuring.photos import SIZES, Size, make_photos


def _size_of(photo: bytes) -> tuple[int, int]:
    with Image.open(BytesIO(photo)) as image:
        image.load()
        return image.size


@pytest.fixture(scope="module")
def photos() -> dict[str, bytes]:
    return make_photos(Path("nowhere"))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
def test_a_photo_has_the_pixels_and_about_the_bytes_of_its_name(photos: dict[str, bytes], size: Size) -> None:
    photo = photos[size.name]

    assert _size_of(photo) == (size.width, size.height)
    assert 0.7 * size.bytes < len(photo) <= size.bytes


def test_the_same_photos_every_time(photos: dict[str, bytes]) -> None:
    again = make_photos(Path("nowhere"), SIZES[:2])

    assert again == {name: photos[name] for name in again}


def test_a_sample_photo_is_used_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "lemon").mkdir()
    Image.new("RGB", (600, 500), (250, 220, 10)).save(tmp_path / "lemon" / "1.jpg")

    with Image.open(BytesIO(make_photos(tmp_path, SIZES[:1])["22 KB"])) as image:
        red, green, blue = image.resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]

    assert red > 220
    assert blue < 60
    assert green > 180
