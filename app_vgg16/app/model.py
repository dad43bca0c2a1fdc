"""The candidate: VGG-16 by transfer learning, 135.3 M parameters as published, 17 M as the starter keeps them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

__all__ = ["FruitVGG16", "build", "simplify"]

_CLASSES = ("apple", "grapes", "lemon")
_CHANNELS = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512, "pool")
_MAP = 4  # side of the last feature map for a 150×150 photo
_MAP_INPUTS = 512 * _MAP * _MAP
_POOLED = 7  # side that VGG-16's average pool stretches it to


class FruitVGG16(nn.Module):
    """torchvision's ``vgg16`` with a new last layer, its keys unchanged.

    ``ranks`` of the two large layers, where given, keep each as a product of two thin ones (truncated SVD, R. Girshick,
    Fast R-CNN, 2015, §3.1). ``pooled`` says whether the first of them follows the average pool (25088 inputs) or takes
    the feature map itself (8192), the pool being folded into it.
    """

    def __init__(self, classes: int = 3, ranks: tuple[int, int] | None = None, pooled: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in _CHANNELS:
            if isinstance(width, int):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        side = _POOLED if pooled else _MAP
        self.avgpool = nn.AdaptiveAvgPool2d(_POOLED) if pooled else nn.Identity()
        first, second = ranks or (None, None)
        self.classifier = nn.Sequential(
            _linear(channels * side * side, 4096, first),
            nn.ReLU(),
            nn.Dropout(),
            _linear(4096, 4096, second),
            nn.ReLU(),
            nn.Dropout(),
            nn.Sequential(nn.Linear(4096, 256), nn.ReLU(), nn.Dropout(0.4), nn.Linear(256, classes)),
        )

    def forward(self, photos: Tensor) -> Tensor:
        """Normalised photos ``(N, 3, 150, 150)`` to logits ``(N, classes)``."""
        return self.classifier(torch.flatten(self.avgpool(self.features(photos)), 1))  # type: ignore[no-any-return]


def _linear(inputs: int, outputs: int, rank: int | None) -> nn.Module:
    if rank is None:
        return nn.Linear(inputs, outputs)
    return nn.Sequential(nn.Linear(inputs, rank, bias=False), nn.Linear(rank, outputs))


def build(state: Mapping[str, Tensor], classes: Sequence[str] = _CLASSES) -> FruitVGG16:
    """An unloaded module of the layout of ``state``: the published one, or a starter's with factorised layers."""
    factorised = "classifier.0.0.weight" in state
    pooled = _first_weight(state) not in state or state[_first_weight(state)].shape[-1] != _MAP_INPUTS
    if not factorised:
        return FruitVGG16(len(classes), pooled=pooled)
    ranks = tuple(len(state[f"classifier.{layer}.0.weight"]) for layer in (0, 3))
    return FruitVGG16(len(classes), (ranks[0], ranks[1]), pooled)


def simplify(network: FruitVGG16) -> FruitVGG16:
    """The same function with the average pool folded into the first linear layer, which shrinks to a third.

    From a 4×4 map to 7×7 that pool is a fixed linear map, so nothing but rounding changes.
    """
    state = network.state_dict()
    key = _first_weight(state)
    if state[key].shape[1] == _MAP_INPUTS:
        return network
    unit_maps = torch.eye(_MAP * _MAP).view(_MAP * _MAP, 1, _MAP, _MAP)
    stretch = network.avgpool(unit_maps).flatten(1)  # (16, 49)
    state[key] = (state[key].unflatten(1, (-1, _POOLED * _POOLED)) @ stretch.T).flatten(1)
    with torch.device("meta"):
        simplified = build(state, [""] * len(state["classifier.6.3.bias"]))
    simplified.load_state_dict(state, assign=True)
    return simplified.eval().requires_grad_(False)


def _first_weight(state: Mapping[str, Tensor]) -> str:
    return "classifier.0.0.weight" if "classifier.0.0.weight" in state else "classifier.0.weight"
