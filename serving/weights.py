"""Which weights a variant serves, and whether they fit its model."""

import hashlib
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

    Build = Callable[[Mapping[str, Tensor]], nn.Module]

__all__ = ["STARTER", "WeightsError", "WeightsFile", "check", "choose", "load", "read"]

STARTER = "starter.safetensors"


class WeightsError(Exception):
    """Weights that cannot be served; the message names the file and the first thing that is wrong with it."""


@dataclass(frozen=True)
class WeightsFile:
    """The file a variant serves, and its SHA-256 in hexadecimal."""

    path: Path
    sha256: str


def choose(artifacts: Path, published: str) -> WeightsFile:
    """The published file where it is present in ``artifacts``, else the starter.

    Raises ``WeightsError`` where there is neither.
    """
    for name in (published, STARTER):
        path = artifacts / name
        if path.is_file():
            with path.open("rb") as file:
                return WeightsFile(path, hashlib.file_digest(file, "sha256").hexdigest())
    raise WeightsError(f"no weights in {artifacts}: neither {published} (see download_models.py) nor {STARTER}")


def read(path: Path) -> "dict[str, Tensor]":
    """The state dict in a ``.safetensors`` or ``.pt`` file, on the CPU; a ``.pt`` file's code is never run.

    Raises ``WeightsError`` for a file that holds no state dict.
    """
    from torch import Tensor, load  # noqa: PLC0415  (most starts need no torch)

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file  # noqa: PLC0415

            return load_file(path)
        state = load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path.name} is no state dict: it holds more than tensors, or is damaged") from error
    except Exception as error:  # torch and safetensors raise a dozen kinds for a damaged file
        raise WeightsError(f"{path.name} is not a readable weights file: {_first_line(error)}") from error
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise WeightsError(f"{path.name} holds no state dict (a mapping of names to tensors)")
    return dict(state)


def check(module: "nn.Module", state: "Mapping[str, Tensor]") -> None:
    """Raises ``WeightsError`` naming the first key or shape in which ``state`` differs from what ``module`` needs."""
    wanted = module.state_dict()
    for key, tensor in wanted.items():
        if key not in state:
            raise WeightsError(f"{key} is missing")
        if state[key].shape != tensor.shape:
            raise WeightsError(f"{key} has shape {tuple(state[key].shape)}, expected {tuple(tensor.shape)}")
    for key in state:
        if key not in wanted:
            raise WeightsError(f"{key} is not a key of this model")


def load(path: Path, build: "Build") -> "nn.Module":
    """The module that ``build`` makes for the file's layout, with its weights, in float32 and eval mode.

    Raises ``WeightsError`` for a file that does not fit.
    """
    import torch  # noqa: PLC0415

    state = read(path)
    with torch.device("meta"):
        module = build(state)
    try:
        check(module, state)
    except WeightsError as error:
        raise WeightsError(f"{path.name} does not fit the model: {error}") from None
    module.load_state_dict(state, assign=True)
    return module.float().eval().requires_grad_(False)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
