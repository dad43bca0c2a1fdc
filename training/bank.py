"""What is computed once and used in every epoch: views of photos, and what frozen layers make of them.

It is kept a batch at a time, and a run that was stopped makes what is missing.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import joblib
import kornia.augmentation as kornia
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn

from training.photos import MEAN, SIDE, STD, Photo, load, pixels

__all__ = ["CACHE", "DEVICE", "answered", "drawn", "mapped", "prepared", "seen"]

CACHE = Path(".cache/training")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
_BATCH = 32
_CANVAS = 224  # pixels of a side of what views are cut out of
_CHANGES: nn.Module = kornia.AugmentationSequential(
    kornia.RandomHorizontalFlip(),
    kornia.RandomAffine(20.0, scale=(0.7, 2.2), shear=8.0, padding_mode="reflection", p=0.7),
    kornia.RandomResizedCrop((SIDE, SIDE), (0.12, 1.0), (0.8, 1.25)),
    kornia.ColorJiggle(brightness=0.25, contrast=0.3, saturation=0.4, p=0.8),
    kornia.RandomGamma((0.6, 1.6), p=0.4),
    kornia.RandomPlanckianJitter("CIED", p=0.3),
    kornia.RandomGaussianBlur((7, 7), (0.3, 2.0), p=0.25),
    kornia.RandomGaussianNoise(std=0.03, p=0.25),
)


def seen(photos: Sequence[Photo], views: int) -> NDArray[Any]:
    """All photos as a model is given them when it serves, then ``views`` views of each: uint8 ``(N, 150, 150, 3)``."""

    def served(rows: range) -> Tensor:
        return torch.stack([pixels(load(photos[row].path)) for row in rows])

    def more(rows: range) -> Tensor:
        return drawn([photos[row % len(photos)] for row in rows], rows.start)

    key = joblib.hash([views, str(_CHANGES), [photo.name for photo in photos]])
    kinds = (_filled(f"photos-{key}", len(photos), served), _filled(f"views-{key}", views * len(photos), more))
    return np.concatenate(kinds)


def drawn(photos: Sequence[Photo], seed: int) -> Tensor:
    """Photos as another camera might have taken them: uint8 ``(N, 150, 150, 3)``, the same for the same seed."""
    torch.manual_seed(seed)
    whole = torch.stack([pixels(load(photo.path), _CANVAS) for photo in photos])
    views: Tensor = _CHANGES(whole.permute(0, 3, 1, 2) / 255)
    return (views.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1)


def mapped(trunk: nn.Module, photos: NDArray[Any]) -> NDArray[Any]:
    """What ``trunk`` makes of ``photos``, in half precision; the photos themselves where it is empty."""
    weights = [tensor.half().numpy() for tensor in trunk.state_dict().values()]
    if not weights:
        return photos
    name = f"maps-{joblib.hash([weights, photos[:: max(1, len(photos) // 64)], len(photos)])}"
    return _filled(name, len(photos), lambda rows: answered(trunk, photos[rows.start : rows.stop]).half())


def answered(network: nn.Module, inputs: NDArray[Any]) -> Tensor:
    """What ``network`` makes of ``inputs``, which are photos or maps: logits ``(N, classes)``, or maps."""
    network.to(DEVICE).eval()
    batches = (prepared(inputs[at : at + 64]) for at in range(0, max(1, len(inputs)), 64))
    with torch.inference_mode(), torch.autocast(DEVICE, torch.bfloat16):
        return torch.cat([network(batch).float().cpu() for batch in batches])


def prepared(inputs: NDArray[Any]) -> Tensor:
    """Photos normalised to ``(N, 3, H, W)``, maps as they are: float, channels last, where the network is."""
    batch = torch.tensor(inputs)
    if batch.dtype == torch.uint8:
        batch = ((batch / 255 - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2)
    return batch.to(DEVICE).float().contiguous(memory_format=torch.channels_last)


def _filled(name: str, count: int, fill: Callable[[range], Tensor]) -> NDArray[Any]:
    """The ``count`` rows of the array ``name``, of which those are made that are not there yet."""
    folder = CACHE / name
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, count, _BATCH)
    for at in track(starts, f"{name.partition('-')[0]}, {count}"):
        if not (folder / f"{at}.npy").exists():
            np.save(folder / "part.npy", fill(range(at, min(at + _BATCH, count))).numpy())
            (folder / "part.npy").replace(folder / f"{at}.npy")
    return np.concatenate([np.load(folder / f"{at}.npy") for at in starts])
