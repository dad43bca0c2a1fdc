"""Uploaded bytes to the pixels a model sees."""

import re
import warnings
from contextlib import nullcontext, suppress
from io import BytesIO
from threading import Lock

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = ["MEAN", "SIDE", "STD", "PhotoError", "TooManyPixelsError", "decode", "jpeg", "to_pixels"]

SIDE = 150
MEAN = (0.485, 0.456, 0.406)  # of RGB in [0, 1]
STD = (0.229, 0.224, 0.225)

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF")
_NAMES = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF"
# A baseline JPEG has one scan and a progressive one about ten; each costs a pass over all pixels.
_MAX_SCANS = 100
_SCAN = b"\xff\xda"
# Markers that a length follows, and the end; not a stuffed zero, a restart or a fill byte.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
# Ten times so many pixels can take 1 GB while they are decoded, so those above are decoded one after the other.
_LARGE = 5_000_000
_one_large = Lock()

# What Pillow finds odd about a photo would fill the log; it is answered or refused.
warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
pillow_heif.register_heif_opener()
Image.MAX_IMAGE_PIXELS = None  # decode() has a limit of its own, and refuses rather than warns


class PhotoError(Exception):
    """Bytes that are no photo; the message is a sentence for whoever sent them."""


class TooManyPixelsError(PhotoError):
    """A photo of more pixels than are served."""


def decode(data: bytes, max_pixels: int, at_least: int = SIDE) -> Image.Image:
    """The photo in ``data``, upright, mode RGB, its sides no shorter than ``at_least`` where the original allows it.

    A JPEG is decoded at 1/2, 1/4 or 1/8 scale where that suffices. Of an animation the first frame counts; what is
    transparent turns white. Raises ``PhotoError``, or ``TooManyPixelsError`` above ``max_pixels``.
    """
    if not data:
        raise PhotoError("The file is empty.")
    try:
        image = Image.open(BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError:
        raise PhotoError(f"The file is not a photo this service reads ({_NAMES}).") from None
    except Exception as error:  # a codec may raise anything at all on bytes made to break it
        raise PhotoError("The photo is broken and cannot be read.") from error
    width, height = image.size
    if width * height > max_pixels:
        raise TooManyPixelsError(
            f"The photo has {width}×{height} pixels; at most {max_pixels / 1e6:g} million are accepted."
        )
    if image.format in ("JPEG", "MPO") and data.count(_SCAN) > _MAX_SCANS < _scans(data):
        raise PhotoError("The photo is built of too many scans to be read safely.")
    try:
        image.draft("RGB", (at_least, at_least))
        # In one go: between pieces of 64 KB, threads would queue for the interpreter.
        image.decodermaxblock = len(data)
        # A progressive JPEG is held in full before it is scaled.
        held = width * height if "progressive" in image.info else image.width * image.height
        large = held > _LARGE
        with _one_large if large else nullcontext():
            image.load()
            _turn_upright(image)
            photo = _to_rgb(image)
            return photo.reduce(max(1, min(photo.size) // (2 * at_least))) if large else photo
    except Exception as error:
        raise PhotoError("The photo is broken or truncated and cannot be read to its end.") from error


def to_pixels(image: Image.Image) -> NDArray[np.uint8]:
    """``(150, 150, 3)``: the shorter side scaled to 150 (bilinear, antialiased), the centre cropped."""
    width, height = image.size
    short = min(width, height)
    # Rounded as torchvision's Resize and CenterCrop do, which the models were trained with.
    scaled = (SIDE * width // short, SIDE * height // short)
    left, top = (round((side - SIDE) / 2) for side in scaled)
    # Only what stays is computed: the whole of a photo of one pixel by a million would not fit into memory.
    x, y = width / scaled[0], height / scaled[1]
    box = (left * x, top * y, (left + SIDE) * x, (top + SIDE) * y)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box))


def jpeg(image: Image.Image, longest: int) -> bytes:
    """The photo as a JPEG whose longer side is at most ``longest`` pixels."""
    image = image.copy()
    image.thumbnail((longest, longest))
    out = BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


def _scans(data: bytes) -> int:
    """How many scans a JPEG has, not counting thumbnails within it or films after it."""
    scans, at = 0, 0
    while (marker := _JPEG_MARKER.search(data, at)) and marker[1] != b"\xd9":
        scans += marker[1] == b"\xda"
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])
    return scans


def _turn_upright(image: Image.Image) -> None:
    with suppress(Exception):  # damaged EXIF data does not make the pixels any worse
        ImageOps.exif_transpose(image, in_place=True)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith(("I", "F")):
        image = _to_8_bit(image)
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
