"""What ``make run`` prints: the lines of all parts, and where the system is."""

import os
import queue
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from io import StringIO
from typing import Any

import requests
from honcho.manager import Manager
from honcho.printer import Printer

from variants import Variant

__all__ = ["EndWatcher", "Parts", "Speaker", "announce"]

# A line of the gateway's begins with its own time, and says what this line of a variant says, too.
_TIME = re.compile(r"^\d\d:\d\d:\d\d ")
_ANSWERED = re.compile(r"^\S+ request_id=\S+ class=")


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


class Parts(Manager):  # type: ignore[misc]
    """Starts all parts, and ends them together."""

    def terminate(self) -> None:
        """Waits until all have started: those whose start was not heard of would be left behind."""
        if self._all_started():
            super().terminate()


class EndWatcher(Printer):  # type: ignore[misc]
    """Hands on what the parts print, and remembers which they are and which ended first without being told to.

    Of a prediction one line is printed, the gateway's, and none after an end was asked for.
    """

    def __init__(self, say: Callable[[str], None], parts: int) -> None:
        super().__init__(sys.stdout)
        self._parts = parts
        self.output = StringIO()
        self.ended_first = ""
        self.groups: list[int] = []
        self._say = say
        self._told = False

    def write(self, message: Any) -> None:
        text = message.data if isinstance(message.data, str) else message.data.decode("utf-8", "replace")
        notable = self._notable(text) if message.name == "system" else not _ANSWERED.match(text)
        # What is cut off in the middle of something may complain, of nothing that matters.
        if not notable or self._told:
            return
        super().write(message._replace(data=_TIME.sub("", text)))
        self._say(self.output.getvalue())
        self.output.seek(0)
        self.output.truncate()

    def _notable(self, said: str) -> bool:
        """Keeps in mind what the manager says; whether people need to see it."""
        if started := re.search(r" started \(pid=(\d+)\)", said):
            self.groups.append(int(started[1]))
            if self._told and len(self.groups) == self._parts:
                # What the manager was told before could not reach all.
                signal.raise_signal(signal.SIGTERM)
            return True
        if self._told or self.ended_first:
            return False
        if said.endswith(" received\n"):
            self._told = True
            self._say("\n  Ending.\n")
        elif " stopped (" in said:
            self.ended_first = said.split(maxsplit=1)[0]
            return True
        return False


def announce(url: str, variants: Sequence[Variant], say: Callable[[str], None], ended: threading.Event) -> None:
    """Says where everything is once every variant is ready."""
    while not ended.wait(0.2):
        try:
            states = requests.get(f"{url}/healthz", timeout=2).json()["variants"]
        except (requests.RequestException, ValueError, KeyError):
            continue
        if sum(state["ready"] for state in states.values()) == len(variants):
            alone = ", ".join(f"{variant.name} http://localhost:{variant.port}" for variant in variants)
            say(
                f"\n  Ready: {url}\n"
                f"  Which is better  {url}/experiment\n"
                f"  For programs     {url}/docs\n"
                f"  Each alone       {alone}\n"
                "  The split        .venv/bin/abtest status\n"
                "  Times are UTC. Ctrl-C ends it.\n\n"
            )
            return
