"""torchvision's VGG-16 weights, also where PyPI's CUDA build of torchvision meets a CPU build of torch."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["imagenet_features"]

_SCHEMAS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def imagenet_features() -> dict[str, Tensor]:  # pragma: no cover - a download of 528 MB
    """``VGG16_Weights.IMAGENET1K_FEATURES``, keys ``features.*``, made for the normalisation used here.

    Those weights take pixels from 0 to 255 less a mean; the first convolution is rescaled to take normalised ones.
    """
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name, schema in _SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            library.define(name + schema)  # type: ignore[no-untyped-call]
    from torchvision.models import VGG16_Weights  # type: ignore[import-untyped]  # noqa: PLC0415 - after the schemas

    from training.photos import MEAN, STD  # noqa: PLC0415

    weights: Any = VGG16_Weights.IMAGENET1K_FEATURES
    state: dict[str, Tensor] = {
        k: v for k, v in weights.get_state_dict(progress=True).items() if k.startswith("features.")
    }
    theirs = weights.transforms()
    first = state["features.0.weight"]
    shift = (torch.tensor(MEAN) - torch.tensor(theirs.mean)) / torch.tensor(theirs.std)
    state["features.0.bias"] = state["features.0.bias"] + (first.sum((2, 3)) * shift).sum(1)
    state["features.0.weight"] = first * (torch.tensor(STD) / torch.tensor(theirs.std)).view(1, 3, 1, 1)
    return state
