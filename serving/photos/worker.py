"""The processes that photos are decoded in, where a hostile one can do no more than end the process it is in.

``python -m serving.photos.worker`` is the nursery: it has imported what decoding takes, and forks the workers that
``pool`` asks for. Both talk over a socket, the nursery's on its standard input; a photo goes there and its pixels come
back through a file in memory. Nothing that comes out of a worker is unpickled.
"""

import gc
import json
import os
import pickle
import resource
import signal
import socket
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import pillow_heif
from PIL import AvifImagePlugin, Image

from .errors import HeavyPhotoError, PhotoError
from .job import ASKED, Job, Limits
from .read import read

_TOO_MUCH_MEMORY = "The photo takes too much memory to read: send it smaller, or as a JPEG."


def main() -> None:
    """Forks workers until nobody is left to ask for one."""
    # They end with whoever started them, once it has answered what it began: a Ctrl-C goes to all of them at once.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # What one photo may take is one processor's time.
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    pillow_heif.options.DECODE_THREADS = 1
    Image.init()
    gc.collect()
    gc.freeze()
    control = socket.socket(fileno=0)
    children: set[int] = set()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 4096, 2)
        if not message:
            return
        asked = json.loads(message)
        if "end" in asked:
            answer = _end(asked["end"], asked["at_once"], children)
        else:
            pid = _fork(control, descriptors, Limits(**asked))
            children.add(pid)
            answer = {"pid": pid}
        control.sendall(json.dumps(answer).encode() + b"\n")


def _end(worker: int, at_once: bool, children: set[int]) -> dict[str, Any]:
    """Waits for a worker's end, or makes it: its exit status, as ``os.waitstatus_to_exitcode`` has it, and its time."""
    if worker not in children:
        return {"status": 0, "cpu_s": 0.0}
    children.remove(worker)
    if at_once:
        os.kill(worker, signal.SIGKILL)
    _, status, used = os.wait4(worker, 0)
    return {"status": os.waitstatus_to_exitcode(status), "cpu_s": used.ru_utime + used.ru_stime}


def _fork(control: socket.socket, descriptors: list[int], limits: Limits) -> int:
    channel, file = descriptors
    pid = os.fork()
    if pid:
        os.close(channel)
        os.close(file)
        return pid
    try:
        control.close()
        _confine(limits)
        _work(socket.socket(fileno=channel), file, limits)
    finally:
        os._exit(0)


def _confine(limits: Limits) -> None:
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + limits.megabytes * 1_000_000
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Libraries say there what they find odd about a photo, which would fill the log.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    with suppress(OSError):  # where memory runs out all the same, the kernel begins here
        Path("/proc/self/oom_score_adj").write_text("1000")
    if limits.heavy:
        os.nice(5)  # quick photos go first


def _work(channel: socket.socket, file: int, limits: Limits) -> None:
    with channel, channel.makefile("rb") as asked:
        while True:
            told = asked.read(ASKED.size)
            if len(told) < ASKED.size:
                return
            length, wanted = ASKED.unpack(told)
            job = _unpickled(asked.read(wanted))
            # Counts processor time, not the time it waits for some; ends the process whatever it is at.
            signal.setitimer(signal.ITIMER_PROF, limits.cpu_s)
            answer = _answer(os.pread(file, length, 0), job, file, limits.heavy)
            signal.setitimer(signal.ITIMER_PROF, 0)
            channel.sendall((str(answer) if isinstance(answer, int) else json.dumps(answer)).encode() + b"\n")


@lru_cache(16)
def _unpickled(wanted: bytes) -> Job:
    job: Job = pickle.loads(wanted)  # noqa: S301  (from the server)
    return job


def _answer(data: bytes, job: Job, file: int, heavy: bool) -> int | dict[str, Any]:
    """How many bytes the pixels, and the preview behind them, have in ``file``; or why there are none."""
    try:
        photo = read(data, job, light_only=not heavy)
    except HeavyPhotoError:
        return {"refused": "HeavyPhotoError", "sentence": ""}
    except PhotoError as error:
        return {"refused": type(error).__name__, "sentence": str(error)}
    except MemoryError:
        return {"refused": "PhotoError", "sentence": _TOO_MUCH_MEMORY}
    except Exception as error:
        return {"failed": repr(error)}
    return os.pwrite(file, photo.pixels.tobytes() + photo.preview, 0)


if __name__ == "__main__":
    main()
