import sys
import warnings
from collections.abc import Callable
from functools import partial
from io import BytesIO
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from serving.photos import decode as decoding
from serving.photos import pixels as scaling
from serving.photos.decode import jpeg
from serving.photos.errors import HeavyPhotoError, PhotoError, TooManyPixelsError
from tests.serving.photos import CORNERS, SIDE, VIEW, corners, encoded, noise, png, quarters, scenery
from tests.serving.photos.hostile import premultiplied

MANY = 50_000_000
# What is asked here has nothing to do with scaling, unless it says so.
decode = partial(decoding.decode, at_least=2 * SIDE)
to_pixels = partial(scaling.to_pixels, view=VIEW)

# How a picture is stored whose EXIF data say 1 to 8: what undoes the turn that the number asks for.
STORED: dict[int, Callable[[Image.Image], Image.Image]] = {
    1: lambda image: image,
    2: ImageOps.mirror,
    3: lambda image: image.rotate(180),
    4: ImageOps.flip,
    5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    6: lambda image: image.rotate(90, expand=True),
    7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
    8: lambda image: image.rotate(-90, expand=True),
}


def exif(orientation: int) -> bytes:
    data = Image.Exif()
    data[ExifTags.Base.Make] = "Maker"
    data[ExifTags.Base.Orientation] = orientation
    return data.tobytes()


def difference(one: Image.Image | NDArray[np.uint8], other: Image.Image | NDArray[np.uint8]) -> float:
    """The mean of the pixels' differences, of 255."""
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("size", [(480, 360), (2400, 1600)], ids=["whole", "scaled while decoding"])
def test_a_photo_is_turned_upright(orientation: int, size: tuple[int, int]) -> None:
    data = encoded(STORED[orientation](quarters(*size)), "JPEG", exif=exif(orientation))

    photo = decode(data, MANY)

    assert corners(photo) == CORNERS
    assert photo.width > photo.height
    assert photo.width < 2400


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_other_formats_are_turned_too(format_: str, orientation: int) -> None:
    data = encoded(STORED[orientation](quarters()), format_, exif=exif(orientation))

    photo = decode(data, MANY)

    assert corners(photo) == CORNERS
    assert photo.size == (480, 360)


def damaged(orientation: int, keep: int) -> bytes:
    """EXIF data of which only the first bytes make sense."""
    whole = exif(orientation)
    return whole[:keep] + b"\xff" * (len(whole) - keep)


@pytest.mark.filterwarnings("ignore:::PIL")
@pytest.mark.parametrize("keep", [0, 6, 10, 14, 16, 20, 26, 40])
def test_damaged_exif_data_cost_no_photo(keep: int) -> None:
    assert decode(encoded(quarters(), "JPEG", exif=damaged(1, keep)), MANY).size == (480, 360)


@pytest.mark.filterwarnings("ignore:::PIL")
def test_an_orientation_is_read_where_the_rest_cannot_be_written_again() -> None:
    entries = [(0x0112, 3, 1, 6 << 16), (0x011A, 5, 1, 0xFFFFFFF0), (0x8769, 4, 1, 0xFFFFFF00)]
    ifd = len(entries).to_bytes(2) + b"".join(
        tag.to_bytes(2) + kind.to_bytes(2) + count.to_bytes(4) + value.to_bytes(4)
        for tag, kind, count, value in entries
    )
    data = b"Exif\0\0MM\0\x2a\0\0\0\x08" + ifd + bytes(4)

    assert corners(decode(encoded(STORED[6](quarters()), "JPEG", exif=data), MANY)) == CORNERS


@pytest.mark.parametrize(
    ("format_", "mode", "options"),
    [
        ("JPEG", "RGB", {}),
        ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "RGB", {"subsampling": 2, "quality": 60}),
        ("JPEG", "CMYK", {}),
        ("MPO", "RGB", {"save_all": True, "append_images": [quarters().rotate(180)]}),
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "P", {}),
        ("WEBP", "RGB", {}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("GIF", "P", {}),
        ("BMP", "RGB", {}),
        ("BMP", "P", {}),
        ("TIFF", "RGB", {}),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        ("TIFF", "RGB", {"compression": "jpeg"}),
        ("TIFF", "RGBA", {"compression": "tiff_deflate"}),
        ("TIFF", "CMYK", {}),
        ("TIFF", "P", {}),
        ("TIFF", "YCbCr", {}),
        ("HEIF", "RGB", {}),
        ("HEIF", "RGBA", {}),
        ("AVIF", "RGB", {}),
        ("AVIF", "RGBA", {}),
        *(
            (format_, "RGB", {"save_all": True, "append_images": [quarters().rotate(180)], "duration": 100})
            for format_ in ("GIF", "WEBP", "PNG", "AVIF", "TIFF")
        ),
    ],
)
def test_colours_in_every_format_and_of_a_film_the_first_frame(
    format_: str, mode: str, options: dict[str, Any]
) -> None:
    original = quarters().convert(mode)

    photo = decode(encoded(original, format_, **options), MANY)

    assert photo.mode == "RGB"
    assert photo.size == (480, 360)
    assert corners(photo) == CORNERS
    assert difference(photo, original.convert("RGB")) < 2


@pytest.mark.parametrize(
    ("format_", "mode"),
    [
        ("JPEG", "L"),
        ("PNG", "L"),
        ("PNG", "LA"),
        ("PNG", "1"),
        ("TIFF", "L"),
        ("TIFF", "1"),
        ("TIFF", "LA"),
        ("BMP", "L"),
        ("BMP", "1"),
        ("GIF", "L"),
        ("WEBP", "L"),
        ("HEIF", "L"),
        ("AVIF", "L"),
    ],
)
def test_grey_in_every_format(format_: str, mode: str) -> None:
    grey = quarters().convert(mode)

    photo = decode(encoded(grey, format_), MANY)

    assert photo.mode == "RGB"
    assert difference(photo, grey.convert("RGB")) < 2


RAMP = np.linspace(0, 65535, 256, dtype=np.uint16)
"""Every 257th of 16 bits: in 8 bits, 0 to 255."""


@pytest.mark.parametrize(
    "data",
    [
        encoded(Image.fromarray(np.tile(RAMP, (16, 1))), "PNG"),
        encoded(Image.fromarray(np.tile(RAMP, (16, 1))), "TIFF"),
        encoded(Image.fromarray(np.tile(RAMP, (16, 1)).astype(np.int32)), "TIFF"),
        encoded(Image.fromarray(np.tile(RAMP, (16, 1)).astype(np.float32)), "TIFF"),
        encoded(Image.fromarray(np.tile(RAMP, (16, 1)).astype(np.float32) / 65535 - 3), "TIFF"),
        png(256, 16, 16, 0, RAMP.astype(">u2").tobytes() * 16),
        png(256, 16, 16, 2, np.repeat(RAMP, 3).astype(">u2").tobytes() * 16),
        png(256, 16, 16, 4, np.stack([RAMP, np.full(256, 65535)], 1).astype(">u2").tobytes() * 16),
        png(256, 16, 16, 6, np.stack([RAMP] * 3 + [np.full(256, 65535)], 1).astype(">u2").tobytes() * 16),
    ],
    ids=["png", "tiff", "tiff-32", "float", "float of a small range", "grey", "rgb", "grey+alpha", "rgb+alpha"],
)
def test_more_than_8_bits_are_brought_to_8(data: bytes) -> None:
    photo = np.asarray(decode(data, MANY)).astype(int)

    assert np.abs(photo - np.arange(256)[None, :, None]).max() <= 1


def test_8_bits_in_a_format_for_more_stay_as_they_are() -> None:
    dark = np.tile(np.arange(256, dtype=np.int32), (16, 1))

    photo = np.asarray(decode(encoded(Image.fromarray(dark), "TIFF"), MANY))

    assert np.array_equal(photo[..., 0], dark)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_in_a_float_photo(odd: float) -> None:
    values = np.tile(np.linspace(0, 1, 256, dtype=np.float32), (16, 1))
    values[3, 100] = odd

    photo = np.asarray(decode(encoded(Image.fromarray(values), "TIFF"), MANY)).astype(int)

    assert np.abs(np.delete(photo, 3, axis=0) - np.arange(256)[None, :, None]).max() <= 1


def test_a_float_photo_of_one_value() -> None:
    assert decode(encoded(Image.new("F", (9, 9), 7), "TIFF"), MANY).getextrema() == ((0, 0),) * 3


def half_transparent(mode: str) -> bytes:
    """Black, its right half transparent."""
    picture = Image.new("RGBA", (100, 50), (0, 0, 0, 255))
    picture.paste((0, 0, 0, 0), (50, 0, 100, 50))
    if mode == "P":
        palette = Image.new("P", (100, 50), 0)
        palette.putpalette([0, 0, 0, 0, 0, 0])
        palette.paste(1, (50, 0, 100, 50))
        return encoded(palette, "PNG", transparency=1)
    if mode == "L":
        grey = Image.new("L", (100, 50), 0)
        grey.paste(9, (50, 0, 100, 50))
        return encoded(grey, "PNG", transparency=9)
    format_, _, picture_mode = mode.rpartition(" ")
    return encoded(picture.convert(picture_mode), format_ or "PNG", **({"lossless": True} if format_ == "WEBP" else {}))


@pytest.mark.parametrize(
    "mode", ["RGBA", "LA", "PA", "P", "L", "WEBP RGBA", "GIF RGBA", "TIFF RGBA", "HEIF RGBA", "AVIF RGBA"]
)
def test_what_is_transparent_turns_white(mode: str) -> None:
    photo = decode(half_transparent(mode.replace("PA", "P")), MANY)

    assert max(photo.getpixel((20, 25))) < 12  # type: ignore[arg-type]
    assert min(photo.getpixel((80, 25))) > 243  # type: ignore[arg-type]


def test_half_transparent_is_half_white() -> None:
    photo = decode(encoded(Image.new("RGBA", (9, 9), (0, 0, 0, 128)), "PNG"), MANY)

    assert photo.getpixel((4, 4)) == pytest.approx((127, 127, 127), abs=1)


@pytest.mark.parametrize("size", [(4032, 3024), (1000, 620), (620, 1000), (601, 2000), (299, 3000)])
@pytest.mark.parametrize("progressive", [False, True])
def test_scaling_while_decoding_changes_next_to_nothing(size: tuple[int, int], progressive: bool) -> None:
    data = encoded(scenery(*size), "JPEG", quality=92, progressive=progressive)
    whole = Image.open(BytesIO(data))

    photo = decoding.decode(data, MANY, SIDE)

    assert min(photo.size) >= SIDE
    assert difference(to_pixels(photo), to_pixels(whole)) < 3


def test_a_page_gets_a_larger_photo() -> None:
    assert min(decode(encoded(scenery(4000, 3000), "JPEG"), MANY, at_least=800).size) >= 800


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_a_large_photo_is_shrunk_at_once(mode: str) -> None:
    large = quarters(3200, 2400).rotate(10).convert(mode)

    photo = decode(encoded(large, "PNG", compress_level=1), MANY)

    assert 2 * SIDE <= min(photo.size) < 1000
    assert difference(to_pixels(photo), to_pixels(large.convert("RGB"))) < 1.5


@pytest.fixture(scope="module")
def transforms() -> ModuleType:
    """torchvision's, also where its build does not match PyTorch's: then nothing is registered under its name."""
    import torch  # noqa: PLC0415

    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    try:
        import torchvision.transforms  # type: ignore[import-untyped]  # noqa: PLC0415
    except RuntimeError:
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
        with warnings.catch_warnings(action="ignore"):
            import torchvision.transforms  # noqa: PLC0415
    module: ModuleType = torchvision.transforms
    return module


ODD = np.random.default_rng(5)
SIZES = [
    *[(150, 150), (151, 150), (150, 151), (149, 150), (153, 150), (300, 150), (150, 299), (75, 75), (1, 1), (2, 1)],
    *[(1, 900), (900, 1), (7, 1500), (4032, 3024), (640, 480), (333, 777), (2000, 151), (451, 301), (104, 128)],
    *[(int(width), int(height)) for width, height in ODD.integers(1, 1200, (40, 2))],
]


def test_pixels_are_those_of_torchvision(transforms: ModuleType) -> None:
    reference = transforms.Compose([transforms.Resize(SIDE), transforms.CenterCrop(SIDE)])

    for width, height in SIZES:
        photo = noise(width, height)
        pixels, wanted = to_pixels(photo), np.asarray(reference(photo))
        assert pixels.shape == wanted.shape == (SIDE, SIDE, 3)
        assert np.abs(pixels.astype(int) - wanted.astype(int)).max() <= 1, (width, height)


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (20_000, 1200)])
def test_a_photo_as_long_as_can_be_takes_no_more_memory_than_its_pixels(size: tuple[int, int]) -> None:
    photo = decode(encoded(Image.new("1", size, 1), "PNG"), MANY)

    assert np.array_equal(to_pixels(photo), np.full((SIDE, SIDE, 3), 255))


def test_the_longer_side_of_a_jpeg_is_bounded() -> None:
    written = Image.open(BytesIO(jpeg(scenery(300, 900), 600)))

    assert (written.format, written.size) == ("JPEG", (200, 600))


def test_too_many_pixels() -> None:
    data = encoded(quarters(200, 100), "PNG")

    with pytest.raises(TooManyPixelsError, match=r"^The photo has 200×100 pixels; at most 0\.019999 million"):
        decode(data, 19_999)
    assert decode(data, 20_000).size == (200, 100)


@pytest.mark.parametrize("size", [(20_001, 1), (1, 20_001)])
def test_a_side_that_is_too_long(size: tuple[int, int]) -> None:
    data = encoded(Image.new("1", size, 1), "PNG")

    with pytest.raises(
        TooManyPixelsError, match=rf"^The photo has {size[0]}×{size[1]} pixels; a side may have at most 20000\."
    ):
        decode(data, MANY)


def test_grey_that_is_multiplied_by_its_transparency() -> None:
    data = premultiplied(Image.merge("LA", (Image.new("L", (9, 9), 60), Image.new("L", (9, 9), 128))))
    assert Image.open(BytesIO(data)).mode == "La"

    assert decode(data, MANY).getpixel((4, 4)) == pytest.approx((187, 187, 187), abs=2)


@pytest.mark.parametrize("mode", ["LAB", "PA"])
def test_modes_that_are_seldom_met(mode: str) -> None:
    original = quarters().quantize(8).convert("PA") if mode == "PA" else quarters().convert(mode)
    photo = decode(encoded(original, "TIFF"), MANY)

    assert photo.mode == "RGB"
    assert corners(photo) == CORNERS


def test_only_light_photos_where_asked_for() -> None:
    with pytest.raises(HeavyPhotoError):
        decode(encoded(Image.new("L", (2237, 2237)), "PNG"), MANY, light_only=True)
    assert decode(encoded(Image.new("L", (2236, 2236)), "PNG"), MANY, light_only=True).mode == "RGB"


@pytest.mark.parametrize("progressive", [True, False])
def test_a_jpeg_is_heavy_where_it_is_not_scaled_while_it_is_read(progressive: bool) -> None:
    data = encoded(Image.new("RGB", (3000, 2000)), "JPEG", progressive=progressive)

    if not progressive:
        assert decode(data, MANY, light_only=True).size == (750, 500)
        with pytest.raises(HeavyPhotoError):
            decode(data, MANY, at_least=2000, light_only=True)
    else:
        with pytest.raises(HeavyPhotoError):
            decode(data, MANY, light_only=True)


def scans(count: int) -> bytes:
    """A progressive JPEG with its last scan repeated until there are ``count``."""
    data = encoded(quarters(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * (count - data.count(b"\xff\xda") + 1) + data[-2:]


def test_too_many_scans() -> None:
    assert decode(scans(100), MANY).size == (480, 360)
    with pytest.raises(PhotoError, match="too many scans"):
        decode(scans(101), MANY)


def test_scans_cannot_hide_behind_other_markers() -> None:
    data = scans(300)
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)

    for disguise in (b"\xff\x01", b"\xff\xd0", b"\xff\xff", b"\xff\x00", b"\xff\xd8"):
        with pytest.raises(PhotoError, match="too many scans"):
            decode(data[:second] + disguise + data[second:], MANY)


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "BMP"])
def test_what_looks_like_scans_in_another_format_is_none(format_: str) -> None:
    grey = np.frombuffer(b"\xff\xda" * 2048, np.uint8).reshape(64, 64)
    data = encoded(Image.fromarray(grey), format_)
    if format_ == "PNG":
        data = png(64, 64, 8, 0, grey.tobytes(), (b"tEXt", b"Comment\0" + grey.tobytes()))
    assert data.count(b"\xff\xda") > 1000

    assert decode(data, MANY).size == (64, 64)


def test_what_looks_like_scans_beside_a_photo_is_none() -> None:
    photo = quarters()
    thumbnail = b"Exif\0\0" + b"\xff\xda\0\0" * 5000
    film = b"\0\0\0\x18ftypmp42" + b"\xff\xda" * 5000

    assert decode(encoded(photo, "JPEG", comment=thumbnail) + film, MANY).size == photo.size
