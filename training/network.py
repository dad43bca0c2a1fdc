"""A variant's network in the hands of whoever trains it: opened, cut where it is frozen, and written."""

import json
from collections.abc import Collection, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval

from training.photos import CLASSES, MEAN, SIDE, STD

__all__ = ["blend", "cut", "fold_norms", "fold_temperature", "fresh", "insert_norms", "join", "open_weights", "start"]
__all__ += ["starter", "write"]


def starter(app: str) -> Path:
    """Where the starter weights of the variant in the folder ``app`` lie."""
    return _code(app) / "artifacts/starter.safetensors"


def fresh(app: str) -> nn.Module:
    """The network of ``app``, nothing learnt, in the layout of its starter or else the one its ``build`` chooses.

    Raises ``FileNotFoundError`` where there is no ``model.py`` to build one.
    """
    if not (_code(app) / "model.py").is_file():
        raise FileNotFoundError(f"{app} is not the folder of a variant with a network: it holds no model.py")
    state = open_weights(starter(app))[0] if starter(app).exists() else {}
    network: nn.Module = import_module(".".join((*_code(app).parts, "model"))).build(state, CLASSES)
    return network


def open_weights(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What a safetensors file holds, and the facts that ``write`` put beside it.

    Raises ``FileNotFoundError`` where there is none.
    """
    if not file.exists():
        raise FileNotFoundError(f"no weights at {file}; --start names others, --fresh does without")
    with safe_open(file, "pt") as opened:
        facts = json.loads((opened.metadata() or {}).get("training", "{}"))
        return {name: opened.get_tensor(name) for name in opened.keys()}, facts  # noqa: SIM118


def write(network: nn.Module, file: Path, facts: Mapping[str, object]) -> None:
    """Stores the weights in half precision, replacing ``file`` in one step, with what they are for and ``facts``."""
    state = {name: value.detach().half().contiguous() for name, value in network.state_dict().items()}
    known = {"classes": CLASSES, "side": SIDE, "mean": MEAN, "std": STD, "training": facts}
    part = file.with_suffix(".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, part, {"format": "pt"} | {name: json.dumps(value) for name, value in known.items()})
    part.replace(file)


def start(network: nn.Module, state: Mapping[str, Tensor]) -> set[str]:
    """Takes over what fits of ``state``; returns the names of what it took."""
    own = network.state_dict()
    taken = {name: tensor.float() for name, tensor in state.items() if name in own and own[name].shape == tensor.shape}
    network.load_state_dict(taken, strict=False)
    return set(taken)


def cut(network: nn.Module, count: int) -> nn.Sequential:
    """Takes the first ``count`` modules of ``network.features`` out of it; none where ``count`` is 0."""
    if not count:
        return nn.Sequential()
    features: Any = network.features
    trunk: nn.Sequential = features[:count]
    network.features = features[count:]
    return trunk.eval().requires_grad_(False)


def join(trunk: nn.Sequential, network: nn.Module) -> None:
    """Puts ``trunk`` back where ``cut`` took it."""
    if len(trunk):
        network.features = nn.Sequential(*trunk, *network.get_submodule("features").children())


def insert_norms(network: nn.Module, learnt: Collection[str]) -> None:
    """A batch normalisation (S. Ioffe and C. Szegedy, 2015) behind every layer with a bias but the last.

    Layers whose weights are among ``learnt`` are left as they are.
    """
    for name, layer in list(network.named_modules()):
        kinds = {nn.Conv2d: nn.BatchNorm2d, nn.Linear: nn.BatchNorm1d}
        new = type(layer) in kinds and layer.bias is not None and f"{name}.weight" not in learnt
        if new and name != _last(network)[0]:
            norm: nn.Module = kinds[type(layer)](len(layer.weight))
            network.set_submodule(name, nn.Sequential(layer, norm))


def fold_norms(network: nn.Module) -> None:
    """Undoes ``insert_norms``; in evaluation mode the answers stay the same."""
    for name, pair in list(network.eval().named_modules()):
        if isinstance(pair, nn.Sequential) and isinstance(pair[-1], nn.BatchNorm2d):
            network.set_submodule(name, fuse_conv_bn_eval(*pair))
        elif isinstance(pair, nn.Sequential) and isinstance(pair[-1], nn.BatchNorm1d):
            network.set_submodule(name, fuse_linear_bn_eval(*pair))


@torch.no_grad()
def blend(network: nn.Module, state: Mapping[str, Tensor], share: float) -> None:
    """Keeps a ``share`` of what was learnt since ``state`` (WiSE-FT: M. Wortsman et al., 2022): less is forgotten."""
    for name, tensor in network.named_parameters():
        if name in state and state[name].shape == tensor.shape:
            tensor.lerp_(state[name].float(), 1 - share)


@torch.no_grad()
def fold_temperature(network: nn.Module, temperature: float) -> None:
    """Divides the logits by ``temperature`` in the last layer (C. Guo et al., On Calibration, 2017, §4.2)."""
    for parameter in _last(network)[1].parameters():
        parameter.div_(temperature)


def _last(network: nn.Module) -> tuple[str, nn.Linear]:
    return [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Linear)][-1]


def _code(app: str) -> Path:
    return Path(app, "app") if Path(app, "app").is_dir() else Path(app)
