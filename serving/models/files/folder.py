"""A variant's folder, and what lies where in it."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError
from . import spec
from .spec import Spec

__all__ = ["Folder", "few", "open_folder"]


@dataclass(frozen=True)
class Folder:
    """A variant's folder, the name of the variant, and the ``classes`` of the system it answers in."""

    name: str
    path: Path
    classes: tuple[str, ...]
    spec: Spec

    @property
    def home(self) -> Path:
        """Where ``artifacts`` and ``model.py`` are: the folder itself, or ``app`` in it."""
        return self.path / "app" if (self.path / "app").is_dir() else self.path

    @property
    def artifacts(self) -> Path:
        return self.home / "artifacts"

    @property
    def code(self) -> Path:
        return self.home / "model.py"

    @property
    def module(self) -> str:
        """The name that ``model.py`` is imported by, beside the folder."""
        return ".".join((self.path.name, *self.code.relative_to(self.path).with_suffix("").parts))

    def shown(self, path: Path) -> str:
        """``path`` as its user calls it."""
        return str(path.relative_to(self.path.parent))

    def defines(self, name: str) -> bool:
        """Whether ``model.py`` is there and defines or imports ``name``; nothing is imported to see that.

        Raises ``ModelError`` where it is no Python.
        """
        try:
            tree = ast.parse(self.code.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return False
        except (SyntaxError, ValueError) as error:
            raise ModelError(f"{self.shown(self.code)} is no Python: {error}") from None
        return any(name in _names(node) for node in tree.body)


def open_folder(path: Path, name: str, classes: Sequence[str]) -> Folder:
    """The folder at ``path``, of the variant called ``name``; raises ``ModelError`` where it says what cannot be."""
    path = path.resolve()
    if not path.is_dir():
        raise ModelError(f"there is no folder {path.name}")
    return Folder(name, path, tuple(classes), spec.read(path / "variant.toml"))


def few(names: Sequence[str]) -> str:
    """The first of ``names``, and how many more there are."""
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _names(node: ast.stmt) -> set[str]:
    """What a statement of a module gives a name to."""
    match node:
        case ast.ClassDef() | ast.FunctionDef():
            return {node.name}
        case ast.ImportFrom() | ast.Import():
            return {alias.asname or alias.name for alias in node.names}
        case ast.Assign():
            return {target.id for target in node.targets if isinstance(target, ast.Name)}
    return set()
