"""A variant's network in the hands of whoever trains it: built, cut where it is frozen, and written."""

import json
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training.photos import CLASSES, MEAN, SIDE, STD, Photo

__all__ = ["aside", "cut", "fresh", "start", "starter", "write"]

_LIST = ".set-aside.txt"


def starter(app: str) -> Path:
    """Where the starter weights of the variant in the folder ``app`` lie."""
    return _code(app) / "artifacts/starter.safetensors"


def fresh(app: str) -> nn.Module:
    """The network of ``app``, nothing learnt, in the layout of its starter or else the one its ``build`` chooses.

    Raises ``FileNotFoundError`` where there is no ``model.py`` to build one.
    """
    if not (_code(app) / "model.py").is_file():
        raise FileNotFoundError(f"{app} is not the folder of a variant with a network: it holds no model.py")
    state = load_file(starter(app)) if starter(app).exists() else {}
    network: nn.Module = import_module(".".join((*_code(app).parts, "model"))).build(state, CLASSES)
    return network


def start(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Takes over what fits of ``state``."""
    own = network.state_dict()
    network.load_state_dict({k: v for k, v in state.items() if k in own and own[k].shape == v.shape}, strict=False)


def cut(network: nn.Module, count: int) -> nn.Sequential:
    """Takes the first ``count`` modules of ``network.features`` out of it; none where ``count`` is 0."""
    if not count:
        return nn.Sequential()
    features: Any = network.features
    trunk: nn.Sequential = features[:count]
    network.features = features[count:]
    return trunk.eval().requires_grad_(False)


def write(network: nn.Module, file: Path, temperature: float, held: Iterable[Photo]) -> None:
    """Stores the weights in half precision, replacing ``file`` in one step, with what they are for.

    Logits are divided by ``temperature``, in the last layer (C. Guo et al., On Calibration, 2017, §4.2). The names of
    the photos ``held`` back go into a list beside the file.
    """
    last = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear)][-1]
    state = {
        name: (value.detach().cpu() / (temperature if name.startswith(f"{last}.") else 1)).half().contiguous()
        for name, value in network.state_dict().items()
    }
    known = {"classes": CLASSES, "side": SIDE, "mean": MEAN, "std": STD, "temperature": temperature}
    part = file.with_suffix(".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, part, {"format": "pt"} | {name: json.dumps(value) for name, value in known.items()})
    file.with_suffix(_LIST).write_text("".join(f"{photo.name}\n" for photo in held))
    part.chmod(0o644)  # whoever serves it may read it
    part.replace(file)


def aside(photos: Iterable[Photo], weights: Path) -> list[Photo]:
    """Those of ``photos`` that ``weights`` were not trained on, as the list beside them says."""
    names = weights.with_suffix(_LIST)
    known = set(names.read_text().splitlines() if names.exists() else [])
    return [photo for photo in photos if photo.name in known]


def _code(app: str) -> Path:
    return Path(app, "app") if Path(app, "app").is_dir() else Path(app)
