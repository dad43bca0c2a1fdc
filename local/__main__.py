"""The whole system on this machine without containers: ``python -m local``, which is ``make run``."""

import fcntl
import os
import queue
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from local.crew import Crew
from local.output import Speaker, announce
from local.parts import ROOT, Place, commands, free_shift, lay_out, taken_ports
from local.processes import Processes
from variants import VARIANTS, Variant

__all__ = ["main"]

_FOLDER = ROOT / ".run"
_LOOK_S = 1.0
# So long a part may take to end, then it is killed.
_PATIENCE_S = 5.0


def _port(name: str, default: int) -> int:
    value = os.environ.get(name, str(default))
    if not value.isdecimal() or not 0 < int(value) < 65536:
        sys.exit(f"{name}={value} is not a port number.")
    return int(value)


@contextmanager
def _alone() -> Iterator[None]:
    """Two systems of one folder would write the same files. Exits where another one runs."""
    _FOLDER.mkdir(exist_ok=True)
    with (_FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit("The system of this folder runs already. End it, or start another copy of the folder.")
        yield


def _moved(shift: int) -> list[Variant]:
    """The variants with their ports moved up, here and in every part that is started from here on."""
    os.environ["PORT_SHIFT"] = str(shift)
    variants = [replace(variant, port=variant.port + shift) for variant in VARIANTS]
    # What nginx kept of the last run may lead to another copy's variants; the record still knows the split.
    kept = _FOLDER / "gateway" / "routes.in"
    with suppress(FileNotFoundError):
        routes = kept.read_text()
        if any(f"@host:{variant.service}@:{variant.port}@" not in routes for variant in variants):
            kept.unlink()
    return variants


def main() -> int:
    """Runs everything until Ctrl-C, or until one part ends, which ends all; returns the exit status."""
    port = _port("PORT", 8080)
    wanted = [_port("EXPERIMENT_PORT", 8010), *(variant.port for variant in VARIANTS)]
    if taken_ports([port]):
        sys.exit(f"Port {port} is taken. End what listens there, or choose another: make run PORT={port + 1}.")
    # As nginx writes its times, in this run as in all containers.
    os.environ["TZ"] = "UTC"
    time.tzset()
    with _alone():
        shift = free_shift(wanted, but=port)
        return _run(port, wanted[0] + shift, _moved(shift))


def _run(port: int, experiment_port: int, variants: list[Variant]) -> int:
    # Short, since the path of a socket may have 107 characters and the project may lie deep; and where nginx's workers,
    # which root starts as nobody, may look.
    run = tempfile.mkdtemp(prefix="ab-")
    # For this machine only, unless it is said otherwise.
    address = os.environ.get("ADDRESS", "127.0.0.1")
    place = Place(listen=f"{address}:{port}", run=run, folder=_FOLDER, experiment_port=experiment_port)
    if os.environ.get("KEEP_IMAGES"):
        # Any word turns it on; a path says where, too.
        kept = Path(os.environ["KEEP_IMAGES"])
        os.environ["KEEP_IMAGES"] = str(kept if kept.is_absolute() else place.folder / "images")
        Path(os.environ["KEEP_IMAGES"]).mkdir(parents=True, exist_ok=True)
    lay_out(place)
    noted = place.folder / "url"
    noted.write_text(place.url + "\n")  # where abtest looks
    speaker = Speaker()
    parts = commands(place, [])
    processes = Processes(ROOT, speaker.say, max(map(len, [*parts, *(variant.service for variant in variants)])))
    # A terminal that is closed is no reason to leave all running.
    for told in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(told, lambda *_: processes.interrupt())
    ended = threading.Event()
    watcher = threading.Thread(target=announce, args=(place.url, variants, speaker.say, ended))
    watcher.start()
    ended_first = ""
    try:
        crew = Crew(processes, place, variants)
        for name, (arguments, extra) in parts.items():
            processes.start(name, arguments, extra)
        ended_first = _keep(processes, crew)
        if not ended_first:
            speaker.say("\n  Ending.\n")
    finally:
        ended.set()
        processes.stop_all(_PATIENCE_S)
        watcher.join()
        speaker.close()
        noted.unlink(missing_ok=True)
        shutil.rmtree(run, ignore_errors=True)
    if not ended_first:
        return 0
    print(f"{ended_first} ended, so everything was stopped.", file=sys.stderr)
    return 1


def _keep(processes: Processes, crew: Crew) -> str:
    """Until this is told to end; or the name of a part that ended without being told."""
    while True:
        try:
            name = processes.ends.get(timeout=_LOOK_S)
        except queue.Empty:
            crew.look()
            continue
        if not name or not crew.ended(name):
            return name


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    sys.exit(main())
