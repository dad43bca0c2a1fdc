"""A PostgreSQL of one's own, on a free port, that can be killed, stopped and started."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from tests.system import eventually, free_port

__all__ = ["POSTGRES", "Postgres"]

# The newest there is, where Debian and Ubuntu put them.
POSTGRES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/lib/postgresql/bin"))


class Postgres:
    """Runs within ``with``; ``url`` is where."""

    def __init__(self) -> None:
        # PostgreSQL refuses to run as root, and its user must reach the folder. It ends when whoever started it does.
        self._command = ["setpriv", "--pdeathsig", "INT"]
        self._folder = Path(tempfile.mkdtemp(prefix="ab-postgres-"))
        if os.geteuid() == 0:
            self._command += ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
            shutil.chown(self._folder, "postgres", "postgres")
        self._port = free_port()
        self.url = f"postgresql+psycopg://ab@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> "Postgres":
        initdb = [str(POSTGRES / "initdb"), "-D", self._data, "-A", "trust", "-U", "ab", "--no-sync"]
        try:
            subprocess.run(
                [*self._command, *initdb], check=True, stdout=subprocess.DEVNULL, timeout=120, cwd=self._folder
            )
            self.start()
        except BaseException:
            shutil.rmtree(self._folder)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._server.send_signal(signal.SIGINT)
        self._server.wait(30)
        shutil.rmtree(self._folder)

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def start(self) -> None:
        """Starts the server, and waits until it answers."""
        serve = [str(POSTGRES / "postgres"), "-D", self._data, "-p", str(self._port), "-h", "127.0.0.1"]
        with (self._folder / "log").open("a") as log:
            self._server = subprocess.Popen(
                [*self._command, *serve, "-k", str(self._folder), "-F"], stdout=log, stderr=log, cwd=self._folder
            )
        eventually(self._answers)

    def kill(self) -> None:
        self._server.kill()
        self._server.wait()

    def pause(self, seconds: float) -> None:
        """Stops the server and all its connections for so long."""
        found = subprocess.run(["pgrep", "-P", str(self._server.pid)], capture_output=True, text=True, check=False)
        pids = [self._server.pid, *(int(pid) for pid in found.stdout.split())]
        _tell(pids, signal.SIGSTOP)
        time.sleep(seconds)
        _tell(pids, signal.SIGCONT)

    def _answers(self) -> bool:
        engine = create_engine(self.url)
        try:
            engine.connect().close()
        except OperationalError:
            return False
        finally:
            engine.dispose()
        return True


def _tell(pids: Iterable[int], what: signal.Signals) -> None:
    for pid in pids:
        # A connection may have ended meanwhile.
        with suppress(ProcessLookupError):
            os.kill(pid, what)
