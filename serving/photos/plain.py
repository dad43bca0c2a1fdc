"""Photos that are read in a moment whatever their bytes are, and need no process that can be stopped."""

import logging

from .errors import BROKE, PhotoError
from .job import LIGHT, Job, Photo
from .read import read

__all__ = ["plain", "read_plain"]

log = logging.getLogger("serving")

_MAX_BYTES = 300_000
# Profiles and thumbnails of small photos fit into this, and what is done with so little takes no time.
_MAX_HEADERS = 16_000
_SEQUENTIAL, _SCAN = (0xC0, 0xC1), 0xDA
# Tables, the restart interval, comments, and what programs have to say.
_OTHERS = frozenset((0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)))


def plain(data: bytes) -> bool:
    """Whether ``data`` is a JPEG of at most 300 kB and ``LIGHT`` pixels, with short headers and a single scan.

    A decoder goes once through such a file, and holds a row of its blocks at a time: what it takes is bounded by these
    sizes. Nearly all small photos are such.
    """
    if len(data) > _MAX_BYTES or not data.startswith(b"\xff\xd8"):
        return False
    at, last, components = 2, min(len(data) - 10, _MAX_HEADERS), 0
    while at < last and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == _SCAN:
            return data[at + 4] == components
        if marker in _SEQUENTIAL and not components:
            height, width, components = _number(data, at + 5), _number(data, at + 7), data[at + 9]
            if data[at + 4] != 8 or components not in (1, 3) or not 0 < width * height <= LIGHT:
                return False
        elif marker not in _OTHERS:
            return False
        at += 2 + _number(data, at + 2)
    return False


def read_plain(data: bytes, job: Job) -> Photo:
    """A ``plain`` photo, read here. Raises ``PhotoError`` where it is broken."""
    try:
        return read(data, job)
    except PhotoError:
        raise
    except Exception as error:
        # A fault of this code, but one that the photo calls forth, here and in every other variant.
        log.exception("A photo broke what was reading it.")
        raise PhotoError(BROKE) from error


def _number(data: bytes, at: int) -> int:
    return data[at] << 8 | data[at + 1]
