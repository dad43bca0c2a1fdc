"""Which of a folder's files is the model, and how it is opened."""

import hashlib
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..errors import ModelError
from .folder import Folder, few

__all__ = ["Kind", "Model", "WeightsFile", "choose"]


class Kind(StrEnum):
    """How a model is opened."""

    STATE = "state dict"
    TORCHSCRIPT = "TorchScript"
    EXPORTED = "torch.export"
    HUGGING_FACE = "Hugging Face"
    ONNX = "ONNX"
    IR = "OpenVINO IR"
    CODE = "class Model"


# Weights to start with, which any others replace.
_STARTER = "starter"

# Of what is said about a model.
_NO_MODELS = ("", ".json", ".md", ".txt")

# Of the weights beside a config.json.
_HUGGING_FACE = (".safetensors", ".bin")

_SUFFIXES = {
    ".safetensors": Kind.STATE,
    ".pt": Kind.STATE,
    ".pth": Kind.STATE,
    ".torchscript": Kind.TORCHSCRIPT,
    ".ts": Kind.TORCHSCRIPT,
    ".pt2": Kind.EXPORTED,
    ".onnx": Kind.ONNX,
    ".xml": Kind.IR,
}


@dataclass(frozen=True)
class WeightsFile:
    """What a variant serves, and its SHA-256 in hexadecimal: of the file, or of the several that make the model."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class Model:
    """The model in a folder, and the classes of its outputs in their order."""

    kind: Kind
    weights: WeightsFile
    outputs: tuple[str, ...]

    @property
    def file(self) -> str:
        return self.weights.path.name


def choose(folder: Folder) -> Model:
    """The model that ``folder`` serves.

    Raises ``ModelError`` where there is none, more than one, or the classes of its outputs are not the system's.
    """
    if folder.defines("Model"):
        files = sorted(file for file in folder.artifacts.rglob("*") if file.is_file())
        return Model(Kind.CODE, _weights(files[0] if len(files) == 1 else folder.artifacts, files), _outputs(folder))
    if not folder.artifacts.is_dir():
        raise ModelError(f"no model: put its file into a folder {folder.shown(folder.artifacts)}")
    home = _hugging_face(folder)
    named = _labels(folder, home) if home else ()
    weights = [file for file in sorted(home.iterdir()) if file.suffix in _HUGGING_FACE] if home else []
    if home and weights and not folder.spec.model:
        files = [*sorted(home.glob("*.json")), *weights]
        path = weights[0] if len(weights) == 1 else home
        return Model(Kind.HUGGING_FACE, _weights(path, files), _outputs(folder, named))
    path = _file(folder, home or folder.artifacts)
    kind = _SUFFIXES.get(path.suffix)
    if kind is None:
        raise ModelError(_UNKNOWN.format(where=folder.shown(path), code=folder.shown(folder.code)))
    if kind is Kind.STATE and _is_torchscript(path):
        kind = Kind.TORCHSCRIPT
    return Model(kind, _weights(path, [path, *_beside(path, kind)]), _outputs(folder, named))


_UNKNOWN = (
    "{where} is of no kind that is served by itself (" + ", ".join(_SUFFIXES) + ", or a Hugging Face folder): "
    "write {code} with a class Model, which has setup(artifacts, device) and predict(pixels)"
)


def _file(folder: Folder, among: Path) -> Path:
    where = folder.shown(among)
    if folder.spec.model:
        path = among / folder.spec.model
        if not path.is_file():
            raise ModelError(f"no model in {where}: {folder.spec.model}, which variant.toml names, is not there")
        return path
    files = sorted(file for file in among.iterdir() if file.is_file() and file.suffix not in _NO_MODELS)
    known = [file for file in files if file.suffix in _SUFFIXES]
    known = [file for file in known if file.stem != _STARTER] or known
    if len(known) > 1:
        names = ", ".join(file.name for file in known)
        raise ModelError(
            f'{where} holds {names}: say which is served, in variant.toml, for example model = "{known[0].name}"'
        )
    if not known and not files:
        raise ModelError(f"no model in {where}: put its file there")
    return known[0] if known else files[0]


def _hugging_face(folder: Folder) -> Path | None:
    """The folder with a ``config.json``: ``artifacts``, or the one folder in it."""
    for path in (folder.artifacts, *sorted(folder.artifacts.iterdir())):
        if (path / "config.json").is_file():
            return path
    return None


def _labels(folder: Folder, home: Path) -> tuple[str, ...]:
    """What ``config.json`` calls the outputs, in their order; nothing where it does not say."""
    try:
        said = json.loads((home / "config.json").read_text(encoding="utf-8"))
        labels = said.get("id2label") or dict(enumerate(said.get("label_names") or ()))  # which timm writes
        return tuple(str(labels[key]) for key in sorted(labels, key=int))
    except (ValueError, AttributeError) as error:
        raise ModelError(f"{folder.shown(home / 'config.json')} cannot be read: {error}") from None


def _outputs(folder: Folder, named: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The system's class of each output: as ``variant.toml`` says, else as the model ``named`` them."""
    said = folder.spec.classes
    where = f"classes in {folder.path.name}/variant.toml"
    if said is None:
        if set(named) == set(folder.classes) and len(named) == len(folder.classes):
            return named
        if not named or all(name.startswith("LABEL_") for name in named):
            return folder.classes
        raise ModelError(
            f"config.json calls the outputs {few(named)}, but the system's classes are {few(folder.classes)}: "
            f"say in {where}, in that order, which of the system's each output is"
        )
    if unknown := [name for name in said if name not in folder.classes]:
        raise ModelError(f"{where}: {unknown[0]!r} is none of the system's, {few(folder.classes)} (variants.toml)")
    if missing := [name for name in folder.classes if name not in said]:
        raise ModelError(f"{where}: no output is {missing[0]!r}, which the system has (variants.toml)")
    return said


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _beside(path: Path, kind: Kind) -> list[Path]:
    """The other files that a model consists of."""
    if kind not in (Kind.ONNX, Kind.IR):
        return []
    # Large tensors lie beside ONNX's files, as model.onnx.data, model.onnx_data or weights.data.
    patterns = (f"{path.stem}.bin",) if kind is Kind.IR else (f"{path.name}?*", "*.data")
    return sorted({file for pattern in (*patterns, "*config.json") for file in path.parent.glob(pattern)})


def _weights(path: Path, files: Iterable[Path]) -> WeightsFile:
    """Raises ``ModelError`` where one may not be read."""
    digests = []
    for file in files:
        try:
            with file.open("rb") as opened:
                digests.append((file.name, hashlib.file_digest(opened, "sha256").hexdigest()))
        except PermissionError:
            raise ModelError(f"{file.name} may not be read by whoever serves it: chmod a+r {file}") from None
    if len(digests) == 1:
        return WeightsFile(path, digests[0][1])
    return WeightsFile(path, hashlib.sha256(json.dumps(digests).encode()).hexdigest())
