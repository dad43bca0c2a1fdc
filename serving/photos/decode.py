"""Uploaded bytes to a photo."""

import warnings
from contextlib import suppress
from io import BytesIO

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, UnidentifiedImageError

from . import headers
from .errors import HeavyPhotoError, PhotoError
from .job import LIGHT

__all__ = ["decode", "jpeg"]

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF")
_NAMES = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF"
_BAND = 1_000_000  # pixels
_MAX_EXIF = 2**17  # in hexadecimal digits
# What undoes the turn that EXIF data state.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# What Pillow finds odd about a photo would fill the log; it is answered or refused.
warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
pillow_heif.register_heif_opener()
Image.MAX_IMAGE_PIXELS = None  # decode() has a limit of its own, and refuses rather than warns


def decode(data: bytes, max_pixels: int, at_least: int, light_only: bool = False) -> Image.Image:
    """The photo in ``data``, upright, mode RGB, its sides no shorter than ``at_least`` where the original allows it.

    A JPEG is decoded at 1/2, 1/4 or 1/8 scale where that suffices. Of an animation the first frame counts; what is
    transparent turns white. Nothing but pixels is left of it.

    Raises ``PhotoError``, or ``TooManyPixelsError`` above ``max_pixels`` or ``headers.MAX_SIDE``; with ``light_only``
    ``HeavyPhotoError`` where more than ``LIGHT`` pixels have to be decoded, before they are.
    """
    if not data:
        raise PhotoError("The file is empty.")
    held = headers.check(data, max_pixels)
    if light_only and held > LIGHT:
        raise HeavyPhotoError
    try:
        image = Image.open(BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError:
        raise PhotoError(f"The file is not a photo this service reads ({_NAMES}).") from None
    except MemoryError:
        raise
    except Exception as error:  # a codec may raise anything at all on bytes made to break it
        raise PhotoError("The photo is broken and cannot be read.") from error
    headers.check_size(*image.size, max_pixels)
    try:
        image.draft("RGB", (at_least, at_least))
        # In one go: between pieces of 64 KB, threads would queue for the interpreter.
        image.decodermaxblock = len(data)
        if not light_only or image.width * image.height <= LIGHT:
            return _loaded(image, at_least)
    except MemoryError:
        raise
    except Exception as error:
        raise PhotoError("The photo is broken or truncated and cannot be read to its end.") from error
    raise HeavyPhotoError


def jpeg(image: Image.Image, longest: int) -> bytes:
    """The photo as a JPEG whose longer side is at most ``longest`` pixels."""
    image = image.copy()
    image.thumbnail((longest, longest))
    out = BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


def _loaded(image: Image.Image, at_least: int) -> Image.Image:
    """The opened ``image`` decoded, upright, in RGB, and without whatever else its file said."""
    image.load()
    turn = _turn(image)
    photo = _shrunk(image, at_least) if image.width * image.height > LIGHT else _to_rgb(image)
    if turn is not None:
        photo = photo.transpose(turn)
    # Comments, profiles, places: a copy that is shown or kept would be saved with them.
    photo.info = {}
    return photo


def _turn(image: Image.Image) -> Image.Transpose | None:
    # Pillow copies what each tag is said to hold, of which there may be thousands: no more than a JPEG has room for.
    if any(len(image.info.get(name) or "") > _MAX_EXIF for name in ("exif", "Raw profile type exif")):
        return None
    with suppress(Exception):  # damaged EXIF data does not make the pixels any worse
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return None


def _shrunk(image: Image.Image, at_least: int) -> Image.Image:
    """The same in RGB, its shorter side still twice ``at_least``: band by band, not to hold it whole in every mode."""
    factor = max(1, min(image.size) // (2 * at_least))
    if image.mode.startswith(("I", "F")):  # the range of its values is that of the whole
        return _to_rgb((image if image.mode == "F" else image.convert("I")).reduce(factor))
    width, height = image.size
    small = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    rows = factor * max(1, _BAND // (width * factor))
    for top in range(0, height, rows):
        band = _to_rgb(image.crop((0, top, width, min(top + rows, height))))
        small.paste(band.reduce(factor), (0, top // factor))
    return small


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith(("I", "F")):
        image = _to_8_bit(image)
    if image.mode == "La":  # Pillow knows but one way from here
        image = image.convert("LA")
    if image.has_transparency_data:
        if image.mode != "RGBA":
            image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    return image.convert("RGB")


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits: Pillow would clip it at 255. A float is stretched over its own range."""
    values = np.array(image, dtype=np.float32)
    if image.mode == "F":
        values = np.nan_to_num(values, copy=False, posinf=0, neginf=0)
        values -= values.min()
        values *= 255 / (values.max() or 1)
    elif values.max() > 255:
        values /= 257
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))
