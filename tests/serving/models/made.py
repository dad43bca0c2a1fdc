"""Folders around real model files of every kind, made here; weights are drawn by lot, and far apart."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import nn

from serving.models.engine import Engine
from serving.models.engines.on_openvino import open_model
from serving.models.engines.scorer import Scorer
from serving.models.files.choice import choose
from serving.models.files.folder import Folder
from serving.photos.decode import decode
from serving.photos.pixels import to_pixels
from serving.variant import listed
from tests.classes import photos_of
from tests.serving.models.given import converting_here

__all__ = ["answers", "exact", "folder_in", "originals", "seen", "sharp", "small_network", "with_torchvision"]

Transform = Callable[[Image.Image], torch.Tensor]


def with_torchvision(name: str) -> ModuleType:
    """A library that imports torchvision, also where PyPI's build for GPUs meets a torch for CPUs."""
    import importlib  # noqa: PLC0415

    if not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for missing in ("nms", "qnms"):
            library.define(f"{missing}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
        _kept.append(library)
    return importlib.import_module(name)


_kept: list[object] = []


def folder_in(tmp_path: Path, name: str, toml: str = "", code: str = "", requirements: str = "") -> Folder:
    """The folder ``app_NAME``, which has no model yet; the name has to be new, as modules are imported by it."""
    path = tmp_path / f"app_{name}"
    (path / "artifacts").mkdir(parents=True)
    for file, text in (("variant.toml", toml), ("model.py", code), ("requirements.txt", requirements)):
        if text:
            (path / file).write_text(text, encoding="utf-8")
    return listed(path)


class SmallNetwork(nn.Module):
    """Two convolutions and a layer over what is left of the photo; any size."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 5, stride=2)
        self.second = nn.Conv2d(8, 16, 3, stride=2)
        self.last = nn.Linear(16, classes)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        maps = self.second(self.first(photos).relu()).relu()
        return self.last(maps.mean((2, 3)))  # type: ignore[no-any-return]


def small_network(classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return sharp(SmallNetwork(classes).eval())


def sharp(network: nn.Module, by: float = 30) -> nn.Module:
    """``network`` with a last layer that makes the most of small differences."""
    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    with torch.no_grad():
        last.weight.mul_(by)
        last.bias.zero_()
    return network.requires_grad_(False)


def originals(samples: Path) -> Iterator[tuple[Path, Image.Image]]:
    """The project's photos, as Pillow opens them."""
    for _, path in photos_of(samples)[1::3]:
        yield path, ImageOps.exif_transpose(Image.open(path)).convert("RGB")


def answers(network: nn.Module, transform: Transform, samples: Path) -> NDArray[np.float32]:
    """What ``network`` itself says of the project's photos, made ready by its own library: ``(N, classes)``."""
    photos = torch.stack([transform(photo) for _, photo in originals(samples)])
    with torch.inference_mode():
        return np.asarray(network(photos).softmax(1).numpy())


def seen(scorer: Scorer | Engine, samples: Path) -> NDArray[np.float32]:
    """What is served of the same photos, decoded in full, as libraries do."""
    view = scorer.input.view
    photos = [to_pixels(decode(path.read_bytes(), 10**8, at_least=10**5), view) for path, _ in originals(samples)]
    return np.concatenate([scorer.scores(photo[np.newaxis]) for photo in photos])


def exact(folder: Folder, cache: Path) -> Scorer:
    """The folder's fast engine, in 32 bits."""
    with converting_here():
        return open_model(folder, choose(folder), cache, threads=2, exact=True)
