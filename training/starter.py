"""Starter weights: half precision, one safetensors file a variant, replaced in one step."""

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from serving.models.networks.weights import load
from training.photos import CLASSES, MEAN, SIDE, STD

__all__ = ["channels_last", "path", "read", "write"]


def path(variant: str) -> Path:
    """Where the starter of ``variant`` lies."""
    return Path(f"app_{variant}/app/artifacts/starter.safetensors")


def write(model: nn.Module, file: Path, facts: Mapping[str, str]) -> None:
    """Stores the weights of ``model`` in half precision, with what a loader needs to know and ``facts`` as metadata."""
    state = {name: value.detach().half().contiguous() for name, value in model.state_dict().items()}
    known = {"classes": CLASSES, "side": SIDE, "mean": MEAN, "std": STD}
    metadata = {"format": "pt"} | {name: json.dumps(value) for name, value in known.items()} | dict(facts)
    part = file.with_suffix(".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, part, metadata)
    part.replace(file)


def read(variant: str, file: Path) -> nn.Module:
    """The model of ``variant`` with the weights in ``file``, in evaluation mode."""
    model = load(file, import_module(f"app_{variant}.app.model").build)
    channels_last(model)
    return model


def channels_last(model: nn.Module) -> None:
    """Lays the weights of ``model`` out as the processor's convolutions prefer them."""
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
