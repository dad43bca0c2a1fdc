"""PyTorch networks, from whichever file holds one."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from ..files.choice import Kind, Model
from ..files.folder import Folder
from . import hugging_face, timm_input, weights

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Network", "code", "open_network"]


@dataclass(frozen=True)
class Network:
    """A network from normalised photos ``(N, 3, height, width)`` to ``(N, outputs)``, in float32 and eval mode.

    ``stated`` is what it says itself about its input, in the words of ``[input]``; ``fixed`` the only height and width
    it takes, where that is known; ``program`` what it was exported as, if it was.
    """

    module: "nn.Module"
    stated: Mapping[str, Any] = field(default_factory=dict)
    fixed: tuple[int, int] | None = None
    program: Any = None


def open_network(folder: Folder, model: Model) -> Network:
    """The network of ``model``, one of PyTorch's kinds; raises ``ModelError`` where it cannot be opened."""
    path = model.weights.path
    match model.kind:
        case Kind.STATE:
            return _from_state(folder, model)
        case Kind.TORCHSCRIPT:
            return Network(_torchscript(model))
        case Kind.EXPORTED:
            return _exported(model)
        case Kind.HUGGING_FACE:
            home = path if path.is_dir() else path.parent
            return Network(hugging_face.load(home).float().eval(), hugging_face.stated_input(home))
    raise ModelError(f'{model.file} is computed without PyTorch: device = "cuda" is not for it')


def code(folder: Folder) -> ModuleType:
    """The folder's ``model.py``, imported; raises ``ModelError`` where it needs what is not installed."""
    if str(folder.path.parent) not in sys.path:
        sys.path.insert(0, str(folder.path.parent))
    try:
        return import_module(folder.module)
    except ModuleNotFoundError as error:
        raise ModelError(
            f"{folder.shown(folder.code)} needs {error.name}, which is not installed: add it to "
            f"{folder.path.name}/requirements.txt, and install that with pip install -c constraints.txt -r"
        ) from None


def _from_state(folder: Folder, model: Model) -> Network:
    if not folder.defines("build"):
        raise ModelError(
            f"{model.file} holds weights only: write {folder.shown(folder.code)} with build(state, classes), which "
            "returns the network they are for, or export the whole model to ONNX"
        )
    definition = code(folder)
    try:
        network = weights.load(model.weights.path, lambda state: definition.build(state, model.outputs))
    except TypeError as error:
        raise ModelError(f"build(state, classes) in {folder.shown(folder.code)} fails: {error}") from error
    stated = timm_input.stated_input(getattr(network, "pretrained_cfg", None))
    simplify = getattr(definition, "simplify", None)
    return Network(simplify(network) if simplify else network, stated)


def _torchscript(model: Model) -> "nn.Module":
    import torch  # noqa: PLC0415

    try:
        return torch.jit.load(model.weights.path, map_location="cpu").float().eval()  # type: ignore[no-any-return,no-untyped-call]
    except RuntimeError as error:
        raise ModelError(f"{model.file} is no TorchScript, or is damaged: {str(error).splitlines()[0]}") from None


def _exported(model: Model) -> Network:
    import torch  # noqa: PLC0415

    try:
        program = torch.export.load(model.weights.path)
        network = program.module()
    except Exception as error:  # a damaged archive raises anything
        raise ModelError(f"{model.file} is no exported program, or is damaged: {str(error).splitlines()[0]}") from error
    taken = next(node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs)
    height, width = taken.meta["val"].shape[2:]
    fixed = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    return Network(network, fixed=fixed, program=program)
