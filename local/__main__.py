"""The whole system on this machine without containers: ``python -m local``, which is ``make run``."""

import os
import shlex
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from honcho.manager import Manager
from honcho.printer import Printer

from local.parts import ROOT, Place, commands, lay_out, taken_ports
from variants import VARIANTS

__all__ = ["main"]


class EndWatcher(Printer):  # type: ignore[misc]
    """Prints what the parts print, and remembers which of them ended first without being told to."""

    ended_first = ""
    _told = False

    def write(self, message: Any) -> None:
        if message.name == "system":
            self._told = self._told or message.data.endswith(" received\n")
            if not self._told and not self.ended_first and " stopped (" in message.data:
                self.ended_first = message.data.split()[0]
        super().write(message)


def announce(url: str, variants: int, say: Callable[[str], None], ended: threading.Event) -> None:
    """Says where the system is once every variant is ready."""
    while not ended.wait(0.2):
        try:
            states = requests.get(f"{url}/healthz", timeout=2).json()["variants"]
        except (requests.RequestException, ValueError, KeyError):
            continue
        if sum(state["ready"] for state in states.values()) == variants:
            say(f"\n  Ready: {url}\n  Ctrl-C ends it.\n")
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
    printer = EndWatcher(sys.stdout)
    manager = Manager(printer=printer)
    for name, (arguments, extra) in commands(place).items():
        manager.add_process(name, f"exec {shlex.join(arguments)}", env={**os.environ, **extra}, cwd=str(ROOT))
    ended = threading.Event()
    watched = (place.url, len(VARIANTS), lambda text: print(text, flush=True), ended)
    watcher = threading.Thread(target=announce, args=watched)
    watcher.start()
    try:
        manager.loop()
    finally:
        ended.set()
        watcher.join()
        address.unlink(missing_ok=True)
        shutil.rmtree(run, ignore_errors=True)
    if not printer.ended_first:
        return 0
    print(f"{printer.ended_first} ended, so everything was stopped.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    sys.exit(main())
