"""A classifier as today's tutorials serve it: the full PyTorch module in float32, photos made ready by torchvision."""

import json
import os
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from serving.models.networks.weights import load

# Where torchvision was built for GPUs and torch was not, torchvision's import misses these, which nothing here calls.
_schemas = torch.library.Library("torchvision", "FRAGMENT")
for _name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, _name):
        _schemas.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from torchvision import transforms  # noqa: E402

__all__ = ["Classifier", "Task", "prepare"]

CLASSES = ("apple", "grapes", "lemon")

_steps = transforms.Compose(
    [
        transforms.Resize(150),
        transforms.CenterCrop(150),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
)


@dataclass(frozen=True)
class Task:
    """What a peer is to serve and how: ``workers`` processes (or replicas) with ``threads`` of PyTorch's each, which
    take up to ``batch`` photos at once."""

    model: str
    weights: str
    port: int
    workers: int
    threads: int
    batch: int

    @classmethod
    def given(cls) -> "Task":
        """The task in the environment, which every process of a peer has."""
        return cls(**json.loads(os.environ["BENCHMARK_TASK"]))


def prepare(data: bytes) -> Tensor:
    """A photo as ``(3, 150, 150)``."""
    tensor: Tensor = _steps(Image.open(BytesIO(data)).convert("RGB"))
    return tensor


class Classifier:
    """A loaded network, on ``threads`` of PyTorch's."""

    def __init__(self, task: Task) -> None:
        torch.set_num_threads(task.threads)
        self._network: nn.Module = load(Path(task.weights), import_module(task.model).build)

    def __call__(self, photos: Tensor) -> list[dict[str, float]]:
        """Photos ``(N, 3, 150, 150)`` to each one's probabilities."""
        with torch.inference_mode():
            shares = torch.softmax(self._network(photos), 1)
        return [dict(zip(CLASSES, row, strict=True)) for row in shares.tolist()]

    def classify(self, data: bytes) -> dict[str, float]:
        """The probabilities of one uploaded photo."""
        return self(prepare(data).unsqueeze(0))[0]
