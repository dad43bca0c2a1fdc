"""Why a model cannot be served."""

__all__ = ["ModelError"]


class ModelError(Exception):
    """A model, or what its folder says of it, that cannot be served; the message says what to do."""
