"""A copy of the project that runs as `make run` runs it, on free ports."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from local.parts import ROOT
from tests.system import COMPARED, free_port, write_list


class Project:
    """A copy of the project, and one run of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        parts = ["abtest", "experiment", "local", "look", "nginx", "sample_data", "serving", "traffic", "variants"]
        parts += [variant.service for variant in COMPARED]
        for part in parts:
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        for file in [*ROOT.glob("*.toml"), ROOT / "docker-compose.yml"]:
            shutil.copy(file, folder)
        self._list = folder / "variants" / "variants.toml"
        write_list(self._list, [replace(variant, port=free_port()) for variant in COMPARED])
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._out = folder / "out.log"
        self.environment = {
            **os.environ,
            "PORT": str(self.port),
            "EXPERIMENT_PORT": str(free_port()),
            "CACHE_DIR": str(ROOT / ".cache"),
            "ABTEST_URL": self.url,
            "COLUMNS": "160",
            "NO_COLOR": "1",
        }

    def ports(self) -> list[int]:
        return [self.port, *(int(port) for port in re.findall(r"port = (\d+)", self._list.read_text()))]

    def list(self, change: Callable[[str], str]) -> None:
        """Changes the list of variants as an editor does."""
        self._list.write_text(change(self._list.read_text()))

    def add_variant(self, name: str) -> None:
        """As people do: one of the same kind as app_custom."""
        weights = self.folder / "app_custom" / "app" / "artifacts" / "starter.safetensors"
        added = self.abtest("new", name, "--from", str(weights), "--like", "app_custom")
        assert added.returncode == 0, added.stdout + added.stderr

    @contextmanager
    def started(self) -> Iterator[subprocess.Popen[bytes]]:
        with self._out.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "local"],
                cwd=self.folder,
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)

    def said(self) -> str:
        return self._out.read_text()

    def abtest(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "abtest", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
