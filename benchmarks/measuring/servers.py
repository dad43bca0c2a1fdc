"""Servers under measurement: started, found ready, kept still while others are measured, weighed, ended."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measuring.load import Target, ask

__all__ = ["Server", "ServerError", "awake", "memory_mb", "tree"]

_START_S = 90
_STOP_S = 15


class ServerError(Exception):
    """A server that did not start; the message says what it last printed."""


class Server:
    """Processes that answer at ``target``. ``started_s`` is the time from their start to the first answer."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        target: Target,
        photo: bytes,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.target = target
        start = time.perf_counter()
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                arguments, env={**os.environ, **(environment or {})}, stdout=out, stderr=subprocess.STDOUT
            )
        while ask(target, photo) != 200:
            if self._process.poll() is not None or time.perf_counter() - start > _START_S:
                self.stop()
                last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it printed nothing"]
                raise ServerError(f"{name} did not start: {last[0]}")
            time.sleep(0.02)
        self.started_s = time.perf_counter() - start

    @property
    def pids(self) -> list[int]:
        return tree(self._process.pid)

    def stop(self) -> None:
        """Asks politely, then ends whatever is left of it."""
        processes = self.pids
        _signal(processes, signal.SIGCONT)
        self._process.terminate()
        deadline = time.monotonic() + _STOP_S
        while any(map(_running, processes)) and time.monotonic() < deadline:
            self._process.poll()
            time.sleep(0.05)
        _signal(processes, signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextmanager
def awake(pids: Iterable[int], others: Iterable[int]) -> Iterator[None]:
    """Stops the processes ``others`` for a while: what is up but idle still takes a few per cent of a core."""
    still = set(others) - set(pids)
    _signal(still, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(still, signal.SIGCONT)


def tree(pid: int) -> list[int]:
    """A process and all that come from it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # ended meanwhile
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def memory_mb(pids: Iterable[int]) -> tuple[float, float]:
    """PSS (what is shared is counted once) and RSS of processes together, in MB of 10⁶ bytes."""
    pss = rss = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        except OSError:
            continue
        kilobytes = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}
        pss, rss = pss + kilobytes["Pss"], rss + kilobytes["Rss"]
    return pss * 1.024e-3, rss * 1.024e-3


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
