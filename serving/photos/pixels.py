"""A photo to the pixels a model sees."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .view import View

__all__ = ["to_pixels"]


def to_pixels(image: Image.Image, view: View) -> NDArray[np.uint8]:
    """``(height, width, 3)``, scaled with antialiasing."""
    method = Image.Resampling[view.interpolation.upper()]
    size = (view.width, view.height)
    match view.fit:
        case "crop":
            return np.asarray(image.resize(size, method, _box(image.size, view)))
        case "squash":
            return np.asarray(image.resize(size, method))
        case "pad":
            ratio = min(view.width / image.width, view.height / image.height)
            inner = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
            picture = Image.new("RGB", size, view.fill)
            picture.paste(image.resize(inner, method), ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
            return np.asarray(picture)


def _box(photo: tuple[int, int], view: View) -> tuple[float, float, float, float]:
    """What of a photo of this width and height is in the picture.

    Only that is computed: the whole of a photo of one pixel by a million would not fit into memory.
    """
    width, height = photo
    if view.resize or view.width == view.height:
        # Rounded as torchvision's Resize and CenterCrop do, which most models were trained with.
        side, short = view.resize or view.width, min(photo)
        scaled = (side * width // short, side * height // short)
    else:
        ratio = max(view.width / width, view.height / height)
        scaled = (max(view.width, round(width * ratio)), max(view.height, round(height * ratio)))
    beside = [side - kept for side, kept in zip(scaled, (view.width, view.height), strict=True)]
    left, top = (both // 2 if view.half == "down" else round(both / 2) for both in beside)
    x, y = width / scaled[0], height / scaled[1]
    return (left * x, top * y, (left + view.width) * x, (top + view.height) * y)
