"""The classes by the names that they have in the project's own list; another list may call them otherwise."""

from pathlib import Path

from variants import CLASSES

__all__ = ["APPLE", "GRAPES", "LEMON", "photos_of"]

APPLE, GRAPES, LEMON = CLASSES


def photos_of(samples: Path) -> list[tuple[str, Path]]:
    """The project's photos with what they show, in the classes' order."""
    return [(name, path) for name in CLASSES for path in sorted((samples / name).glob("*.jpg"))]
