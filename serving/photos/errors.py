"""Why a photo is refused, in sentences for whoever sent it."""

__all__ = ["HeavyPhotoError", "PhotoError", "TooManyPixelsError"]


class PhotoError(Exception):
    """Bytes that are no photo, or one that is not read; the message says why, or what to do."""


class TooManyPixelsError(PhotoError):
    """A photo of more pixels than are served."""


class HeavyPhotoError(Exception):
    """A photo that takes long to read, met where only quick ones are read."""
