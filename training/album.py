"""Photos in memory in the form that augmentation draws from."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from training.photos import Photo, load, trim

__all__ = ["CANVAS", "Album", "open_album"]

CANVAS = 192  # pixels; the longer side of a photo, margins trimmed, fills it


class Album(NamedTuple):
    """``canvas`` uint8 ``(N, 4, CANVAS, CANVAS)``: RGB and, for fruit on white, its mask, centred on the canvas.

    ``extent`` float ``(N, 2)``: the part of the canvas that the photo fills, width and height in (0, 1]. ``labels``
    and ``isolated`` (the photo has a mask) are ``(N,)``; ``weights`` ``(N,)`` draw every class equally often, and the
    sources within a class by the square root of their size.
    """

    canvas: Tensor
    extent: Tensor
    labels: Tensor
    isolated: Tensor
    weights: Tensor


def open_album(photos: Sequence[Photo]) -> Album:
    """Reads ``photos``, trims their margins, and cuts out what lies on white."""
    canvas = np.full((len(photos), CANVAS, CANVAS, 4), 0, np.uint8)
    extent = np.zeros((len(photos), 2), np.float32)
    isolated = np.zeros(len(photos), bool)
    for index, photo in enumerate(photos):
        image = trim(load(photo.path))
        scale = CANVAS / max(image.size)
        width, height = (max(8, round(side * scale)) for side in image.size)
        rgb = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        mask = _cut_out(rgb)
        left, top = (CANVAS - width) // 2, (CANVAS - height) // 2
        window = canvas[index, top : top + height, left : left + width]
        window[..., :3] = rgb
        if mask is not None:
            window[..., 3] = mask
            isolated[index] = True
        extent[index] = width / CANVAS, height / CANVAS
    labels = torch.tensor([photo.label for photo in photos])
    groups = [(photo.label, photo.source) for photo in photos]
    sizes = {group: groups.count(group) for group in set(groups)}
    totals = {label: sum(size**0.5 for (of, _), size in sizes.items() if of == label) for label, _ in sizes}
    weights = torch.tensor([sizes[group] ** -0.5 / totals[group[0]] for group in groups])
    pixels = torch.from_numpy(canvas).permute(0, 3, 1, 2).contiguous()
    return Album(pixels, torch.from_numpy(extent), labels, torch.from_numpy(isolated), weights)


def _cut_out(
    rgb: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None:
    """A soft mask of what stands on a white ground, or None where the ground is not white."""
    light = rgb.min(2) > 225
    border = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])
    if border.mean() < 0.6:
        return None
    regions, _ = ndimage.label(light)
    outside = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
    ground = np.isin(regions, outside[outside > 0])
    fruit = ndimage.binary_erosion(ndimage.binary_opening(~ground, iterations=2), iterations=2)
    if not 0.1 < fruit.mean() < 0.92:
        return None
    rows, columns = (np.flatnonzero(fruit.any(axis)) for axis in (1, 0))
    box = fruit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if box.mean() > 0.9:  # a whole rectangle is a photo with a caption, not a fruit
        return None
    soft = ndimage.gaussian_filter(fruit.astype(np.float32), 1.0)
    return np.asarray(soft * 255, np.uint8)
