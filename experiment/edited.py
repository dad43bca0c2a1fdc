"""Files that people edit while they are followed."""

import time
from pathlib import Path

__all__ = ["EditedFile"]

# An editor that truncates a file before it writes it may take so long.
_SETTLED_S = 2.0


class EditedFile:
    """A file of which nothing half saved is taken up."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._looks: tuple[bytes, float] = (b"", 0.0)

    def settled(self) -> bool:
        """Whether it has stayed the same for 2 s, as far as it was looked at."""
        try:
            text = self.path.read_bytes()
        except OSError:
            text = b""
        if text != self._looks[0]:
            self._looks = text, time.monotonic()
        return time.monotonic() - self._looks[1] >= _SETTLED_S
