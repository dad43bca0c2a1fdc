"""Photos decoded in processes of their own, which can be stopped, and are replaced when one breaks."""

import atexit
import json
import logging
import os
import pickle
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue
from signal import SIGPROF
from threading import Lock
from typing import Any, BinaryIO

import numpy as np

from .errors import BROKE, HeavyPhotoError, PhotoError, StarvedError, TooManyPixelsError
from .job import ASKED, LIGHT, Job, Limits, Photo

__all__ = ["Pool", "Reading", "prepare"]

log = logging.getLogger("serving")

_REFUSALS = {error.__name__: error for error in (HeavyPhotoError, PhotoError, TooManyPixelsError)}
_TOO_SLOW = "The photo takes too long to read: send it smaller, or as a JPEG."
_STARVED = "There is no time here to read this photo. Try again in a moment."
# The hungriest decoder is WebP's, with 16 bytes a pixel.
_MB, _BYTES_PER_PIXEL = 64, 18
# Processor time, and time: several times what photos of so many pixels take. One that is slow for its size waits for
# others of its kind, lest as many as may wait be between a quick one and its answer.
_LIGHT_CPU_S, _LIGHT_S = 0.5, 4.0
_HEAVY_CPU_S, _HEAVY_S = 5.0, 6.0
# Twice the processor time that good photos of as many pixels as are served take.
_GOOD_CPU_S = 2.0
_START_S = 60
# More than this, a file in memory gives back after each photo.
_KEPT_BYTES = 1_000_000
# What comes out of a worker is not to be believed either.
_ANSWER_BYTES, _PHOTO_BYTES = 10_000, 10_000_000
# Each arena of malloc's and each thread of a library counts against a worker's limit, and is of no use to it. Memory
# that is given back after each photo has to be asked for, and cleared, at the next.
_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(8 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 20),
    "OPENBLAS_NUM_THREADS": "1",
}


def prepare() -> None:
    """Begins to start what a ``Pool`` needs, so that something else can be done meanwhile."""
    _nursery.start()


class Pool:
    """``workers`` processes for photos that are read in a moment; any other has one made for it.

    May be used by several threads.
    """

    def __init__(self, workers: int, max_pixels: int) -> None:
        light = Limits(_LIGHT_CPU_S, _MB + LIGHT * _BYTES_PER_PIXEL // 10**6)
        self._heavy = Limits(_HEAVY_CPU_S, _MB + max_pixels * _BYTES_PER_PIXEL // 10**6, heavy=True)
        self._workers = [_Worker(light) for _ in range(workers)]
        self._free: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            worker.start()
            self._free.put(worker)

    @property
    def pids(self) -> list[int]:
        """The processes that are always there."""
        return [worker.pid for worker in self._workers]

    def begin(self, data: bytes, job: Job, heavy: bool = False) -> "Reading":
        """Hands a photo to a process, once one has nothing to do; its ``result`` has to be asked for."""
        if heavy:
            worker = _Worker(self._heavy)
            worker.start()
            return Reading(worker, data, job, _HEAVY_S, _Worker.stop)
        return Reading(self._free.get(), data, job, _LIGHT_S, self._free.put)

    def read(self, data: bytes, job: Job, heavy: bool = False) -> Photo:
        """The photo in ``data``; raises what ``Reading.result`` does."""
        return self.begin(data, job, heavy).result()

    def close(self) -> None:
        """Ends the processes; nothing may be read meanwhile."""
        for worker in self._workers:
            worker.stop()


class Reading:
    """A photo that a process is at."""

    def __init__(
        self, worker: "_Worker", data: bytes, job: Job, within_s: float, done: Callable[["_Worker"], None]
    ) -> None:
        self._worker, self._data, self._job, self._within_s, self._done = worker, data, job, within_s, done
        self._lock, self._over = Lock(), False
        self._asked = worker.ask(data, job)

    def result(self) -> Photo:
        """The photo, once it is read.

        Raises ``PhotoError`` where it is none, or breaks or outlasts the process it is in, ``StarvedError`` where that
        had hardly any processor time, and ``HeavyPhotoError`` where it has to be asked for again as a ``heavy`` one.
        """
        try:
            if not self._asked:
                self._worker.start()
                self._worker.ask(self._data, self._job)
            answer = self._worker.answer(self._within_s)
            if len(self._data) > _KEPT_BYTES:
                self._worker.shrink()
        finally:
            with self._lock:
                self._over = True
            self._done(self._worker)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def stop(self) -> None:
        """Ends the process in the middle of the photo, for one that nobody waits for any more."""
        with self._lock:
            if not self._over:
                self._worker.interrupt()


class _Worker:
    """One process at a time, and the file in memory that it shares with this one."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.pid = 0

    def start(self) -> None:
        self._channel, theirs = socket.socketpair()
        self._answers: BinaryIO = self._channel.makefile("rb")
        self._file = _memory_file()
        with theirs:
            try:
                self.pid = _nursery.fork(self._limits, theirs, self._file)
            finally:
                if not self.pid:
                    self._close()

    def ask(self, data: bytes, job: Job) -> bool:
        """Hands over a photo; false where the process has ended while it had nothing to do, or was never started."""
        if not self.pid:
            return False
        os.pwrite(self._file, data, 0)
        wanted = _pickled(job)
        self._asked = job
        try:
            self._channel.sendall(ASKED.pack(len(data), len(wanted)) + wanted)
        except OSError:
            with suppress(OSError):
                self.stop()
        return bool(self.pid)

    def answer(self, within_s: float) -> Photo | Exception:
        """The photo, or what is to be raised instead.

        Raises ``PhotoError`` where the process says nothing in time, or nothing that makes sense, and ends it;
        ``StarvedError`` where it had too little processor time for the photo to be what is wrong; ``HeavyPhotoError``
        where it was only meant for quick ones and took more processor time than they do.
        """
        try:
            self._channel.settimeout(within_s)
            line = self._answers.readline(_ANSWER_BYTES)
            if line[:1].isdigit():
                made = os.pread(self._file, min(int(line), _PHOTO_BYTES), 0)
                height, width = self._asked.view.height, self._asked.view.width
                pixels = np.frombuffer(made, np.uint8, height * width * 3).reshape(height, width, 3)
                return Photo(pixels, made[pixels.nbytes :])
            said = dict(json.loads(line))
            if "failed" in said:
                # A fault of this code, but one that the photo calls forth, here and in every other variant.
                log.error("A photo broke what was reading it: %.300r", said["failed"])
                return PhotoError(BROKE)
            return _REFUSALS[said["refused"]](said["sentence"])
        except TimeoutError:
            ended = self._end(at_once=True)
            # One for quick photos would have been ended by its own limit.
            if not self._limits.heavy or ended["cpu_s"] < _GOOD_CPU_S:
                raise StarvedError(_STARVED) from None
            raise PhotoError(_TOO_SLOW) from None
        except (OSError, ValueError, LookupError, TypeError) as error:
            if self._end(at_once=True)["status"] != -SIGPROF:
                raise PhotoError(BROKE) from error
            raise (PhotoError(_TOO_SLOW) if self._limits.heavy else HeavyPhotoError()) from error

    def shrink(self) -> None:
        """Gives back the memory of a large photo."""
        os.ftruncate(self._file, 0)

    def interrupt(self) -> None:
        """Has ``answer``, in another thread, wait no longer: it ends the process."""
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Ends the process when it has answered."""
        if self.pid:
            self._end(at_once=False)

    def _end(self, at_once: bool) -> dict[str, Any]:
        pid, self.pid = self.pid, 0
        self._close()
        return _nursery.end(pid, at_once)

    def _close(self) -> None:
        self._answers.close()
        self._channel.close()
        os.close(self._file)


class _Nursery:
    """The process that workers are forked from: started at the first need, and anew where it has ended."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.stop)

    def start(self) -> None:
        """Starts it, but does not wait until it is ready."""
        with self._lock:
            self._start()

    def fork(self, limits: Limits, channel: socket.socket, file: int) -> int:
        """Starts a worker on its end of a channel and on a file, and returns its process id."""
        pid: int = self._ask(asdict(limits), [channel.fileno(), file])["pid"]
        return pid

    def end(self, worker: int, at_once: bool) -> dict[str, Any]:
        """Waits until a worker has ended, or ends it; returns its exit ``status`` and its processor time, ``cpu_s``."""
        return self._ask({"end": worker, "at_once": at_once}, [])

    def stop(self) -> None:
        with self._lock:
            self._stop()

    def _ask(self, question: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        """Raises ``OSError`` where the process does not answer, not even a new one."""
        with self._lock:
            for _ in range(2):
                self._start()
                with suppress(OSError):
                    socket.send_fds(self._control, [json.dumps(question).encode()], descriptors)
                    if line := self._answers.readline():
                        answer: dict[str, Any] = json.loads(line)
                        return answer
                self._stop()
        raise OSError("the process that decodes photos does not start")

    def _start(self) -> None:
        if self._process:
            return
        self._control, theirs = socket.socketpair()
        self._control.settimeout(_START_S)
        self._answers: BinaryIO = self._control.makefile("rb")
        command = [sys.executable, "-m", f"{__package__}.worker"]
        environment = {**os.environ, **_ENVIRONMENT}
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                command, stdin=theirs.fileno(), cwd=Path(__file__).parents[2], env=environment
            )

    def _stop(self) -> None:
        if self._process:
            self._answers.close()
            self._control.close()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            self._process.kill()
            self._process.wait()
            self._process = None


@lru_cache(16)
def _pickled(job: Job) -> bytes:
    return pickle.dumps(job)


def _memory_file() -> int:
    """A file that is nowhere on disk, where the system has such, and is gone when nobody holds it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("photo")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


_nursery = _Nursery()
