"""What ``make run`` prints: the lines of all parts, and where the system is."""

import os
import queue
import threading
from collections.abc import Callable, Sequence

import requests

from traffic.render import UNRECORDED
from variants import Variant

__all__ = ["Speaker", "announce"]


class Speaker:
    """Writes to standard output in a thread of its own: a reader who stops reading, as ``less`` does, stops nothing."""

    _MOST = 10_000
    _LAST_WORDS_S = 1.0

    def __init__(self) -> None:
        # One that may be put to in a signal's handler.
        self._texts: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._unsaid = 0
        self._thread = threading.Thread(target=self._speak, daemon=True)
        self._thread.start()

    def say(self, text: str) -> None:
        """Leaves the text out where too much waits already."""
        if self._texts.qsize() >= self._MOST:
            self._unsaid += 1
            return
        if self._unsaid:
            text = f"({self._unsaid} lines that nobody read are left out)\n{text}"
        self._unsaid = 0
        self._texts.put(text)

    def close(self) -> None:
        """Waits a moment until all is written."""
        self._texts.put(None)
        self._thread.join(self._LAST_WORDS_S)

    def _speak(self) -> None:
        while (text := self._texts.get()) is not None:
            left = text.encode()
            # Past sys.stdout, whose lock would keep a blocked thread from being left behind. A reader who is gone hears
            # nothing more.
            while left:
                try:
                    left = left[os.write(1, left) :]
                except OSError:
                    break


def announce(url: str, variants: Sequence[Variant], say: Callable[[str], None], ended: threading.Event) -> None:
    """Says where everything is once every variant is ready, and nginx serves a split of the record."""
    while not ended.wait(0.2):
        try:
            health = requests.get(f"{url}/healthz", timeout=2).json()
            ready, epoch = [state["ready"] for state in health["variants"].values()], health["epoch"]
        except (requests.RequestException, ValueError, KeyError):
            continue
        if sum(ready) == len(variants) and epoch != UNRECORDED:
            shown = url.replace("127.0.0.1", "localhost")
            alone = ", ".join(f"{variant.name} http://localhost:{variant.port}" for variant in variants)
            say(
                f"\n  Ready: {shown}\n"
                f"  Which is better  {shown}/experiment\n"
                f"  For programs     {shown}/docs\n"
                f"  Each alone       {alone}\n"
                "  The split        .venv/bin/abtest status\n"
                "  Times are UTC. Ctrl-C ends it.\n\n"
            )
            return
