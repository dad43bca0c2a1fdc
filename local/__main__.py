"""The whole system on this machine without containers: ``python -m local``, which is ``make run``."""

import os
import queue
import re
import shlex
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import requests
from honcho.manager import Manager
from honcho.printer import Printer

from local.parts import ROOT, Place, commands, lay_out, taken_ports
from variants import VARIANTS

__all__ = ["main"]


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


class EndWatcher(Printer):  # type: ignore[misc]
    """Hands on what the parts print, and remembers which they are and which ended first without being told to."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(sys.stdout)
        self.output = StringIO()
        self.ended_first = ""
        self.groups: list[int] = []
        self._say = say
        self._told = False

    def write(self, message: Any) -> None:
        if message.name == "system":
            self._told = self._told or message.data.endswith(" received\n")
            if not self._told and not self.ended_first and " stopped (" in message.data:
                self.ended_first = message.data.split()[0]
            if started := re.search(r" started \(pid=(\d+)\)", message.data):
                self.groups.append(int(started[1]))
        super().write(message)
        self._say(self.output.getvalue())
        self.output.seek(0)
        self.output.truncate()


def announce(url: str, variants: int, say: Callable[[str], None], ended: threading.Event) -> None:
    """Says where the system is once every variant is ready."""
    while not ended.wait(0.2):
        try:
            states = requests.get(f"{url}/healthz", timeout=2).json()["variants"]
        except (requests.RequestException, ValueError, KeyError):
            continue
        if sum(state["ready"] for state in states.values()) == variants:
            say(f"\n  Ready: {url.replace('127.0.0.1', 'localhost')}\n  Ctrl-C ends it.\n\n")
            return


def _port(name: str, default: int) -> int:
    value = os.environ.get(name, str(default))
    if not value.isdecimal() or not 0 < int(value) < 65536:
        sys.exit(f"{name}={value} is not a port number.")
    return int(value)


def main() -> int:
    """Runs everything until Ctrl-C, or until one part ends, which ends all; returns the exit status."""
    port = _port("PORT", 8080)
    experiment_port = _port("EXPERIMENT_PORT", 8010)
    for taken in taken_ports([port, experiment_port, *(variant.port for variant in VARIANTS)]):
        instead = f"choose another: make run PORT={port + 1}" if taken == port else "end the other make run"
        sys.exit(f"Port {taken} is taken. End what listens there, or {instead}.")
    # Short, since the path of a socket may have 107 characters and the project may lie deep; and where nginx's workers,
    # which root starts as nobody, may look.
    run = tempfile.mkdtemp(prefix="ab-")
    # For this machine only, unless it is said otherwise.
    address = os.environ.get("ADDRESS", "127.0.0.1")
    place = Place(listen=f"{address}:{port}", run=run, folder=ROOT / ".run", experiment_port=experiment_port)
    if os.environ.get("KEEP_IMAGES"):
        # Any word turns it on; a path says where, too.
        kept = Path(os.environ["KEEP_IMAGES"])
        os.environ["KEEP_IMAGES"] = str(kept if kept.is_absolute() else place.folder / "images")
        Path(os.environ["KEEP_IMAGES"]).mkdir(parents=True, exist_ok=True)
    lay_out(place)
    noted = place.folder / "url"
    noted.write_text(place.url + "\n")  # where abtest looks
    speaker = Speaker()
    printer = EndWatcher(speaker.say)
    manager = Manager(printer=printer)
    for name, (arguments, extra) in commands(place).items():
        manager.add_process(name, f"exec {shlex.join(arguments)}", env={**os.environ, **extra}, cwd=str(ROOT))
    ended = threading.Event()
    watcher = threading.Thread(target=announce, args=(place.url, len(VARIANTS), speaker.say, ended))
    watcher.start()
    # A terminal that is closed is no reason to leave all running.
    signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        manager.loop()
    finally:
        ended.set()
        watcher.join()
        # Workers of an nginx that was killed know nothing of its end.
        for group in printer.groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        speaker.close()
        noted.unlink(missing_ok=True)
        shutil.rmtree(run, ignore_errors=True)
    if not printer.ended_first:
        return 0
    print(f"{printer.ended_first} ended, so everything was stopped.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    sys.exit(main())
