"""The classes by the names that they have in the project's own list; another list may call them otherwise."""

from variants import CLASSES

__all__ = ["APPLE", "GRAPES", "LEMON"]

APPLE, GRAPES, LEMON = CLASSES
