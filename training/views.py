"""Photos as another camera might have taken them."""

from collections.abc import Sequence
from typing import Any

import kornia.augmentation as kornia
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from training.photos import SIDE, Photo, load

__all__ = ["draw"]

_CANVAS = 192  # pixels, of the square that a photo is cut to before anything is done to it


def draw(photos: Sequence[Photo], seed: int) -> Tensor:
    """A view of each photo: uint8 ``(N, 150, 150, 3)``. The same seed draws the same views."""
    torch.manual_seed(seed)
    squares = torch.from_numpy(np.stack([_square(load(photo.path), float(torch.rand(()))) for photo in photos]))
    views: Tensor = _changes()(squares.permute(0, 3, 1, 2).float() / 255)
    return (views.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous()


def _square(image: Image.Image, place: float) -> Any:
    """The largest square of a photo, at ``place``, 0 to 1, along its longer side."""
    short = min(image.size)
    left, top = ((side - short) * place for side in image.size)
    box = (left, top, left + short, top + short)
    return np.array(image.resize((_CANVAS, _CANVAS), Image.Resampling.BILINEAR, box))


def _changes() -> nn.Module:
    return kornia.AugmentationSequential(
        kornia.RandomHorizontalFlip(),
        kornia.RandomAffine(20.0, scale=(0.7, 1.1), shear=8.0, padding_mode="reflection", p=0.6),
        kornia.RandomResizedCrop((SIDE, SIDE), (0.35, 1.0), (0.8, 1.25)),
        kornia.RandomBrightness((0.75, 1.25), p=0.5),
        kornia.RandomContrast((0.7, 1.3), p=0.5),
        kornia.RandomSaturation((0.6, 1.5), p=0.5),
        kornia.RandomGamma((0.6, 1.6), p=0.4),
        kornia.RandomPlanckianJitter("CIED", p=0.3),
        kornia.RandomGaussianBlur((7, 7), (0.3, 2.0), p=0.25),
        kornia.RandomGaussianNoise(std=0.03, p=0.25),
    )
