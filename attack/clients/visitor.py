"""A polite visitor, who asks now and then beside an attack, and notes how long it takes.

``python -m attack.clients.visitor URL PHOTO`` is one, a process of its own: an attacker's threads are not to hold
it up.
"""

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attack.clients.uploads import Uploads
from local.parts import ROOT

__all__ = ["Visitor"]

_PAUSE_S = 0.2
# No attacker's address.
_CLIENT = 60_000


class Visitor:
    """Posts ``photo`` every 0.2 s while it is ``there``. ``waits`` are seconds until an answer, tries among them."""

    def __init__(self, url: str, photo: Path) -> None:
        self._command = [sys.executable, "-m", __name__, url, str(photo)]
        self.waits: list[float] = []
        self.statuses: Counter[int] = Counter()
        self._here = threading.Event()

    @contextmanager
    def there(self) -> Iterator[None]:
        with subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as visitor:
            noting = threading.Thread(target=self._note, args=(visitor.stdout,))
            noting.start()
            self._here.wait()
            try:
                yield
            finally:
                visitor.terminate()
                noting.join()
                self._here.clear()

    def _note(self, said: Iterator[str]) -> None:
        for line in said:
            wait, status = line.split()
            self.waits.append(float(wait))
            self.statuses[int(status)] += 1
            self._here.set()
        self._here.set()

    @property
    def unanswered(self) -> int:
        return sum(count for status, count in self.statuses.items() if status != 200)

    def take(self) -> list[float]:
        """The waits since the last call, sorted."""
        taken, self.waits = self.waits, []
        return sorted(taken)


def main(url: str, photo: str) -> None:
    """Asks until it is told to go, and then once to the end."""
    gone = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: gone.set())
    uploads, data = Uploads(url), Path(photo).read_bytes()
    while not gone.wait(_PAUSE_S):
        began = time.monotonic()
        answer = uploads.post(_CLIENT, "a good photo", data)
        print(time.monotonic() - began, answer.status, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
