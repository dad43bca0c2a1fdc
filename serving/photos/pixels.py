"""A photo to the pixels a model sees."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["MEAN", "SIDE", "STD", "to_pixels"]

SIDE = 150
MEAN = (0.485, 0.456, 0.406)  # of RGB in [0, 1]
STD = (0.229, 0.224, 0.225)


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
