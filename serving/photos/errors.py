"""Why a photo is refused, in sentences for whoever sent it."""

__all__ = ["BROKE", "HeavyPhotoError", "PhotoError", "StarvedError", "TooManyPixelsError"]

BROKE = "The photo broke what was reading it, so it is refused: save it anew, or send another one."


class PhotoError(Exception):
    """Bytes that are no photo, or one that is not read; the message says why, or what to do."""


class TooManyPixelsError(PhotoError):
    """A photo of more pixels than are served."""


class StarvedError(Exception):
    """A photo that nothing is known against, but that the machine had no time for; the message says so."""


class HeavyPhotoError(Exception):
    """A photo that takes long to read, met where only quick ones are read."""
