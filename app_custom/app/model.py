"""The model in production: a small convolutional network, 2.2 M parameters."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["FruitCNN", "build"]

_CLASSES = ("apple", "grapes", "lemon")


class FruitCNN(nn.Module):
    """Two convolutions and three linear layers, over 150×150 photos."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 34 * 34, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, photos: Tensor) -> Tensor:
        """Normalised photos ``(N, 3, 150, 150)`` to logits ``(N, classes)``."""
        x = functional.max_pool2d(functional.relu(self.conv1(photos)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        x = functional.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc3(functional.relu(self.fc2(x)))  # type: ignore[no-any-return]


def build(state: Mapping[str, Tensor], classes: Sequence[str] = _CLASSES) -> FruitCNN:
    """An unloaded module of the layout of ``state`` (there is one)."""
    return FruitCNN(len(classes))
