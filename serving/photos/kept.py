"""Photos kept for people to label, where an operator asks for that."""

import logging
import uuid
from contextlib import suppress
from pathlib import Path
from threading import Lock

__all__ = ["Photos"]

log = logging.getLogger("serving")

_CHECK_EVERY = 50


class Photos:
    """A folder of JPEGs named after their requests, that all variants share: the newest ``megabytes`` of them."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self._folder = folder
        self._bytes = megabytes * 2**20
        self._kept = 0
        self._lock = Lock()
        # Whoever deletes photos that are to be forgotten is another user, of the same group.
        with suppress(OSError):
            folder.chmod(0o775)

    def keep(self, request_id: str, photo: bytes) -> None:
        """Keeps ``photo``; a full disk is logged and harms no prediction.

        The first photo of a request stays: ids are the clients' own, and one that comes again replaces nothing.
        """
        new = self._folder / f".{uuid.uuid4().hex}"
        try:
            new.write_bytes(photo)
            with suppress(FileExistsError):
                (self._folder / f"{request_id}.jpg").hardlink_to(new)
            new.unlink()
            with self._lock:
                if self._kept % _CHECK_EVERY == 0:
                    self._make_room()
                self._kept += 1
        except OSError as error:
            log.warning("A photo could not be kept: %s", error.strerror)
            with suppress(OSError):
                new.unlink(missing_ok=True)

    def _make_room(self) -> None:
        files = []
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):  # another variant makes room as well
                found = path.stat()
                files.append((found.st_mtime, found.st_size, path))
        room = self._bytes
        for _, size, path in sorted(files, reverse=True):
            room -= size
            if room < 0:
                path.unlink(missing_ok=True)
