"""State dicts: read without running any code, and held against the network they are for."""

import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

    Build = Callable[[Mapping[str, Tensor]], nn.Module]

__all__ = ["WeightsError", "check", "load", "read"]


class WeightsError(ModelError):
    """Weights that cannot be served; the message names the file and the first thing that is wrong with it."""


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
    state = read(path)
    module = _built(build, state)
    try:
        check(module, state)
    except WeightsError as error:
        raise WeightsError(f"{path.name} does not fit the model: {error}") from None
    module.load_state_dict(state, assign=True)
    return module.float().eval().requires_grad_(False)


def _built(build: "Build", state: "Mapping[str, Tensor]") -> "nn.Module":
    """What ``build`` makes, without the random numbers that weights are about to replace.

    Memory that nothing is written to is not taken. On PyTorch's device "meta" whatever a network computes for itself,
    and does not save, would be missing.
    """
    from torch import Tensor  # noqa: PLC0415
    from torch.overrides import TorchFunctionMode  # noqa: PLC0415

    class Unfilled(TorchFunctionMode):
        def __torch_function__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return args[0] if call in (Tensor.uniform_, Tensor.normal_) else call(*args, **(kwargs or {}))

    with Unfilled():
        return build(state)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
