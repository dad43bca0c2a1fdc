"""What a model sees of a photo, by each of the ways to fit it."""

import numpy as np
import pytest
from PIL import Image

from serving.photos.decode import decode
from serving.photos.job import Job
from serving.photos.pixels import to_pixels
from serving.photos.pool import Pool
from serving.photos.view import View
from tests.serving.photos import CORNERS, corners, encoded, noise, quarters


def seen(photo: Image.Image, view: View) -> Image.Image:
    return Image.fromarray(to_pixels(photo, view))


def test_squashed_the_whole_photo_is_there() -> None:
    picture = seen(quarters(900, 300), View(50, 80, fit="squash"))

    assert picture.size == (80, 50)
    assert corners(picture) == CORNERS


@pytest.mark.parametrize(("size", "box"), [((900, 300), (0, 20, 60, 40)), ((300, 900), (20, 0, 40, 60))])
def test_padded_the_whole_photo_is_in_the_middle_of_the_colour(
    size: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    picture = seen(quarters(*size), View(60, 60, fit="pad", fill=(1, 2, 3)))

    assert picture.getpixel((0, 0)) == picture.getpixel((59, 59)) == (1, 2, 3)
    assert corners(picture.crop(box)) == CORNERS


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
def test_a_photo_of_any_shape(size: tuple[int, int], fit: str) -> None:
    view = View(40, 60, fit=fit)  # type: ignore[arg-type]

    assert to_pixels(Image.new("RGB", size, "red"), view).shape == (40, 60, 3)


def test_cropped_to_a_picture_that_is_wider_than_high() -> None:
    stripes = Image.new("RGB", (400, 400), "red")
    stripes.paste((0, 0, 255), (0, 100, 400, 300))

    pixels = to_pixels(stripes, View(40, 80))

    assert pixels.shape == (40, 80, 3)
    assert (pixels[2:-2] == (0, 0, 255)).all(), "its height is the half in the middle"


@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])
def test_the_way_of_scaling_is_pillows_of_that_name(name: str) -> None:
    photo = noise(300, 200)

    found = to_pixels(photo, View(64, 64, fit="squash", interpolation=name))  # type: ignore[arg-type]

    assert np.array_equal(found, np.asarray(photo.resize((64, 64), Image.Resampling[name.upper()])))


def test_a_larger_resize_sees_less() -> None:
    photo = quarters(300, 300)
    photo.paste((0, 0, 0), (0, 0, 300, 20))

    assert to_pixels(photo, View(100, 100))[:3].max() < 60
    assert to_pixels(photo, View(100, 100, resize=130))[:3].max() > 100


@pytest.mark.parametrize(("half", "left"), [("even", 14), ("down", 13)])
def test_half_a_pixel_beside_the_centre_is_rounded_as_is_said(half: str, left: int) -> None:
    photo = noise(91, 73)

    found = to_pixels(photo, View(64, 64, resize=73, half=half))  # type: ignore[arg-type]

    assert np.array_equal(found, np.asarray(photo)[4:68, left : left + 64])


def test_the_processes_that_decode_see_the_same() -> None:
    data, view = encoded(quarters(800, 500), "PNG"), View(60, 90, fit="pad", interpolation="bicubic", fill=(9, 9, 9))
    pool = Pool(1, 10**7)
    try:
        found = pool.read(data, Job(view, 10**7, view.side)).pixels
    finally:
        pool.close()

    assert np.array_equal(found, to_pixels(decode(data, 10**7, view.side), view))
