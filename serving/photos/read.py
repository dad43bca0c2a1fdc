"""A file to what was asked for."""

from .decode import decode, jpeg
from .job import Job, Photo
from .pixels import to_pixels

__all__ = ["read"]


def read(data: bytes, job: Job, light_only: bool = False) -> Photo:
    """What ``job`` wants of ``data``; raises what ``decode`` does."""
    photo = decode(data, job.max_pixels, job.at_least, light_only)
    return Photo(to_pixels(photo, job.view), jpeg(photo, job.preview) if job.preview else b"")
