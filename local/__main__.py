"""The whole system on this machine without containers: ``python -m local``, which is ``make run``."""

import os
import queue
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import requests

from local.crew import Crew
from local.parts import ROOT, Place, commands, lay_out, taken_ports
from local.processes import Processes
from local.speaker import Speaker
from variants import VARIANTS

__all__ = ["main"]

_LOOK_S = 1.0
# So long a part may take to end, then it is killed.
_PATIENCE_S = 5.0


def announce(url: str, variants: int, say: Callable[[str], None], ended: threading.Event) -> None:
    """Says where the system is once every variant is ready."""
    while not ended.wait(0.2):
        try:
            states = requests.get(f"{url}/healthz", timeout=2).json()["variants"]
        except (requests.RequestException, ValueError, KeyError):
            continue
        if sum(state["ready"] for state in states.values()) == variants:
            say(f"\n  Ready: {url}\n  Ctrl-C ends it.\n\n")
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
    place = Place(listen=str(port), run=run, folder=ROOT / ".run", experiment_port=experiment_port)
    if os.environ.get("KEEP_IMAGES"):
        # Any word turns it on; a path says where, too.
        kept = Path(os.environ["KEEP_IMAGES"])
        os.environ["KEEP_IMAGES"] = str(kept if kept.is_absolute() else place.folder / "images")
        Path(os.environ["KEEP_IMAGES"]).mkdir(parents=True, exist_ok=True)
    lay_out(place)
    address = place.folder / "url"
    address.write_text(place.url + "\n")  # where abtest looks
    speaker = Speaker()
    parts = commands(place, [])
    processes = Processes(ROOT, speaker.say, max(map(len, [*parts, *(variant.service for variant in VARIANTS)])))
    # A terminal that is closed is no reason to leave all running.
    for told in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(told, lambda *_: processes.interrupt())
    ended = threading.Event()
    watcher = threading.Thread(target=announce, args=(place.url, len(VARIANTS), speaker.say, ended))
    watcher.start()
    ended_first = ""
    try:
        crew = Crew(processes, place, VARIANTS)
        for name, (arguments, extra) in parts.items():
            processes.start(name, arguments, extra)
        ended_first = _keep(processes, crew)
    finally:
        ended.set()
        processes.stop_all(_PATIENCE_S)
        watcher.join()
        speaker.close()
        address.unlink(missing_ok=True)
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
