"""What is computed once and used in every epoch: views of photos, and what frozen layers make of them.

Each is an array in a file that is filled a batch at a time, and that a run which was stopped goes on filling.
"""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch
from numpy.typing import DTypeLike, NDArray
from rich.progress import track
from torch import Tensor, nn

from training.photos import SIDE, Photo, load, normalise, pixels
from training.views import draw

__all__ = ["CACHE", "answered", "digest", "mapped", "prepared", "seen"]

CACHE = Path(".cache/training")
_BATCH = 32


def seen(photos: Sequence[Photo], more: Sequence[int], seed: int) -> NDArray[Any]:
    """Each photo as a model is given it when it serves, then random views of those at ``more``.

    uint8 ``(N, 150, 150, 3)``.
    """

    def fill(part: slice) -> Tensor:
        rows = range(part.start, part.stop)
        served = [pixels(load(photos[row].path)) for row in rows if row < len(photos)]
        again = [photos[more[row - len(photos)]] for row in rows if row >= len(photos)]
        return torch.cat(
            [*(photo.unsqueeze(0) for photo in served), *([draw(again, seed + rows[-1])] if again else [])]
        )

    name = f"views-{digest(seed, *(photo.name for photo in photos), *more)}"
    return _filled(name, (len(photos) + len(more), SIDE, SIDE, 3), np.uint8, fill)


def mapped(trunk: nn.Sequential, photos: NDArray[Any]) -> NDArray[Any]:
    """What ``trunk`` makes of ``photos``: half precision ``(N, C, H, W)``; the photos themselves where it is empty."""
    if not len(trunk):
        return photos
    weights = [tensor.half().numpy().tobytes() for tensor in trunk.state_dict().values()]
    name = f"maps-{digest(*weights, photos[:: max(1, len(photos) // 64)].tobytes(), len(photos))}"
    example = torch.zeros(1, 3, SIDE, SIDE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript, which OpenVINO uses
        compiled = openvino.compile_model(openvino.convert_model(trunk, example_input=example), "CPU")

    def fill(part: slice) -> Tensor:
        return torch.from_numpy(compiled([normalise(torch.tensor(photos[part])).contiguous().numpy()])[0])

    return _filled(name, (len(photos), *trunk(example).shape[1:]), np.float16, fill)


def answered(network: nn.Module, inputs: NDArray[Any]) -> Tensor:
    """Logits of ``network`` for ``inputs``, which are photos or maps: ``(N, classes)``."""
    network.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        return torch.cat([network(prepared(inputs[at : at + 64])).float() for at in range(0, len(inputs), 64)])


def prepared(inputs: NDArray[Any]) -> Tensor:
    """Photos normalised, maps as they are: float, channels last."""
    batch = torch.tensor(inputs)
    return (
        normalise(batch) if batch.dtype == torch.uint8 else batch.float().contiguous(memory_format=torch.channels_last)
    )


def digest(*facts: object) -> str:
    """A name for what was made of ``facts``."""
    sha = hashlib.sha256()
    for fact in facts:
        sha.update(fact if isinstance(fact, bytes) else f"{fact}\n".encode())
    return sha.hexdigest()[:16]


def _filled(name: str, shape: tuple[int, ...], kind: DTypeLike, fill: Callable[[slice], Tensor]) -> NDArray[Any]:
    """The array ``name``, made or made whole where it is not there yet."""
    CACHE.mkdir(parents=True, exist_ok=True)
    file, part, count = (CACHE / f"{name}.{suffix}" for suffix in ("npy", "npy.part", "count"))
    if not file.exists():
        begun = int(count.read_text()) if count.exists() else 0
        array = np.lib.format.open_memmap(part, "r+" if begun else "w+", kind, shape)
        for at in track(range(begun, shape[0], _BATCH), f"{name.partition('-')[0]}, {shape[0]}"):
            rows = slice(at, min(at + _BATCH, shape[0]))
            array[rows] = fill(rows).numpy()
            array.flush()
            count.write_text(str(rows.stop))
        part.replace(file)
        count.unlink(missing_ok=True)
    return np.load(file, mmap_mode="r")  # type: ignore[no-any-return]
