"""Processes that run side by side, each in a group of its own, and what they print, line by line with their names."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import cycle
from pathlib import Path
from typing import IO

__all__ = ["Processes"]

_COLOURS = ("36", "33", "32", "35", "34", "31")
_LAST_WORDS_S = 1.0
# A line of the gateway's begins with its own time, and says what this line of a variant says, too.
_TIME = re.compile(r"^\d\d:\d\d:\d\d ")
_ANSWERED = re.compile(r"^\S+ request_id=\S+ class=")


class Processes:
    """Starts and stops processes by name; ``ends`` gets the name of each that ended, and "" from ``interrupt``.

    Of a prediction one line is printed, the gateway's, and none once all are to end.
    """

    def __init__(self, folder: Path, say: Callable[[str], None], width: int) -> None:
        self.ends: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._folder = folder
        self._say = say
        self._width = width
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._readers: dict[str, threading.Thread] = {}
        self._colours: dict[str, str] = {}
        self._unused = cycle(_COLOURS)
        self._ending = False
        self._coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def start(self, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Runs ``arguments`` under a name that nothing has that runs; ``environment`` is added to this process's."""
        assert name not in self._running
        process = subprocess.Popen(
            arguments,
            cwd=self._folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert process.stdout
        self._width = max(self._width, len(name))
        self._colours.setdefault(name, next(self._unused))
        self._running[name] = process
        self._readers[name] = threading.Thread(target=self._read, args=(name, process.stdout), daemon=True)
        self._print("system", f"{name} started (pid={process.pid})")
        self._readers[name].start()
        threading.Thread(target=self._wait, args=(name, process), daemon=True).start()

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        """Tells a process and what it started; its end is said in ``ends``."""
        process = self._running[name]
        self._print("system", f"sending {how.name} to {name} (pid {process.pid})")
        with suppress(ProcessLookupError):
            os.killpg(process.pid, how)

    def take_note(self, name: str) -> None:
        """What ran under ``name`` has ended: the name is free, and nothing of it stays behind."""
        process = self._running.pop(name)
        # Workers of an nginx that was killed know nothing of its end.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        self._readers.pop(name).join(_LAST_WORDS_S)
        self._print("system", f"{name} stopped (rc={process.returncode})")

    def interrupt(self) -> None:
        """Puts "" into ``ends``; from a signal's handler, too."""
        self.ends.put("")

    def stop_all(self, patience_s: float) -> None:
        """Ends everything, after ``patience_s`` by force."""
        # Why one ended comes before all is silenced.
        for name, process in self._running.items():
            if process.poll() is not None:
                self._readers[name].join(_LAST_WORDS_S)
        # What is cut off in the middle of something may complain, of nothing that matters.
        self._ending = True
        for name in self._running:
            self.stop(name)
        until = time.monotonic() + patience_s
        for process in self._running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0, until - time.monotonic()))
        for name in list(self._running):
            if self._running[name].poll() is None:
                self.stop(name, signal.SIGKILL)
                self._running[name].wait()
            self.take_note(name)

    def _read(self, name: str, out: IO[bytes]) -> None:
        with out:
            for line in out:
                self._print(name, line.decode(errors="replace").rstrip("\n"))

    def _wait(self, name: str, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        self.ends.put(name)

    def _print(self, name: str, line: str) -> None:
        if self._ending or _ANSWERED.match(line):
            return
        line = _TIME.sub("", line)
        head = f"{datetime.now():%H:%M:%S} {name:<{self._width}} |"
        if self._coloured and name in self._colours:
            head = f"\033[0;{self._colours[name]}m{head}\033[0m"
        self._say(f"{head} {line}\n")
