"""Converted networks, kept between starts."""

import hashlib
import json
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from .convert import convert
from .files.choice import Model
from .files.folder import Folder
from .samples import samples

__all__ = ["converted", "key"]

_HERE = Path(__file__).parent
# What converts, besides this folder.
_CODE = (*sorted(_HERE.rglob("*.py")), _HERE.parent / "photos" / "pixels.py")
_LIBRARIES = ("openvino", "torch")


@contextmanager
def converted(folder: Folder, model: Model, cache: Path, quantised: bool, threads: int) -> Iterator[Path]:
    """A folder with what ``convert`` writes: from ``cache``, or made and put there where that can be written to.

    Several may do so at once: each makes its own, and the first that is complete stays. Raises ``ModelError``.
    """
    kept = cache / f"{folder.path.name}-{key(folder, model, quantised)[:24]}"
    if kept.is_dir():
        yield kept
        return
    with _room(cache) as room:
        made = Path(room, "made")
        made.mkdir()
        # In a process of its own: PyTorch's memory goes with it.
        with ProcessPoolExecutor(1, get_context("spawn")) as child:
            child.submit(convert, folder, model, made, quantised, threads).result()
        try:
            made.rename(kept)
        except OSError:
            yield kept if kept.is_dir() else made
        else:
            yield kept


def key(folder: Folder, model: Model, quantised: bool) -> str:
    """What a converted network is made of, as one SHA-256 in hexadecimal: of two different ones, two."""
    made_of = {
        "weights": model.weights.sha256,
        "kind": model.kind,
        "outputs": model.outputs,
        "spec": folder.spec.model_dump(mode="json"),
        "code": _digests(sorted(folder.path.rglob("*.py"))),
        "photos": _digests(samples(folder)) if quantised else None,
        "quantised": quantised,
        "serving": _digests(list(_CODE)),
        "versions": {name: _version(name) for name in (*_LIBRARIES, *_required(folder))},
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


@contextmanager
def _room(cache: Path) -> Iterator[str]:
    """An empty folder, in ``cache`` where that can be written to, for only there a finished one can be renamed."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        room = TemporaryDirectory(dir=cache, prefix=".")
    except OSError:
        room = TemporaryDirectory()
    with room as path:
        yield path


def _digests(files: list[Path]) -> list[tuple[str, str]]:
    return [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]


def _required(folder: Folder) -> list[str]:
    """The libraries that the folder's ``requirements.txt`` names itself."""
    try:
        lines = (folder.path / "requirements.txt").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return sorted(match[0] for line in lines if (match := re.match(r"[A-Za-z0-9][\w.-]*", line.strip())))


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""
