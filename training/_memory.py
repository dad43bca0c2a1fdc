"""Keeps freed memory in the process: handing each batch's back to the system doubles the time of a training step."""

import ctypes
import sys

__all__ = ["keep"]

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # glibc, malloc.h


def keep() -> None:
    """Tunes glibc's allocator; elsewhere it does nothing."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            for option, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**28)):
                mallopt(option, value)
