"""A running system whose variants may take as much memory as their containers may."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.system import System, eventually
from variants import VARIANTS, Variant

__all__ = ["LIMIT_BYTES", "Confined"]

LIMIT_BYTES = 2 << 30
"""Of one variant: ``mem_limit`` in docker-compose.yml."""


class _Group:
    """A control group for one variant, of whichever version the kernel has."""

    def __init__(self, folder: Path, names: dict[str, str]) -> None:
        self._folder, self._names = folder, names
        folder.mkdir()
        try:
            (folder / names["limit"]).write_text(str(LIMIT_BYTES))
        except OSError:
            folder.rmdir()
            raise

    def add(self, pid: int) -> None:
        (self._folder / "cgroup.procs").write_text(str(pid))

    @property
    def peak_bytes(self) -> int:
        """The most memory it has taken, files that the kernel holds for it among them."""
        return int((self._folder / self._names["peak"]).read_text())

    @property
    def killed(self) -> int:
        """How many of its processes the kernel has ended for want of memory."""
        events = dict(line.split() for line in (self._folder / self._names["events"]).read_text().splitlines())
        return int(events.get("oom_kill", 0))

    def remove(self) -> None:
        """Raises ``AssertionError`` where a process of the group outlives its variant by far."""
        eventually(self._is_removed)

    def _is_removed(self) -> bool:
        with suppress(OSError):  # busy as long as the kernel has not taken leave of its last process
            self._folder.rmdir()
        return not self._folder.exists()


_V1 = {"limit": "memory.limit_in_bytes", "peak": "memory.max_usage_in_bytes", "events": "memory.oom_control"}
_V2 = {"limit": "memory.max", "peak": "memory.peak", "events": "memory.events"}


def _group(name: str) -> _Group | None:
    """None where this user may make none, or the kernel has no such thing."""
    root = Path("/sys/fs/cgroup")
    old = root / "memory"
    with suppress(OSError):
        if old.is_dir():
            return _Group(old / name, _V1)
        with suppress(OSError):  # a container's own group hands nothing on
            (root / "cgroup.subtree_control").write_text("+memory")
        return _Group(root / name, _V2)
    return None


class Confined(System):
    """A system whose variants are each in a control group of ``LIMIT_BYTES``, where this user may make such."""

    def __init__(self, folder: Path, variants: Sequence[Variant] = VARIANTS, **settings: str) -> None:
        super().__init__(folder, variants, 4, **settings)
        self._groups: dict[str, _Group | None] = {}

    @property
    def confined(self) -> bool:
        return all(self._groups.values())

    def start(self, name: str) -> None:
        super().start(name)
        pid = self.processes[name].pid
        if name in {variant.service for variant in self.variants}:
            group = self._groups.setdefault(name, _group(f"attack-{name}-{os.getpid()}"))
            if group:
                group.add(pid)  # long before it starts processes of its own

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        for group in self._groups.values():
            if group:
                group.remove()

    def peaks_mb(self) -> dict[str, float]:
        """The most memory that each variant has taken, in megabytes (10⁶)."""
        return {name: group.peak_bytes / 1e6 for name, group in self._groups.items() if group}

    def killed(self) -> int:
        """Processes of variants that were ended for want of memory."""
        return sum(group.killed for group in self._groups.values() if group)

    def ended(self) -> list[str]:
        """The parts that have ended, which a container would have started anew, and nginx's workers that have."""
        parts = [name for name, process in self.processes.items() if process.poll() is not None]
        return parts + [line for line in self.log("gateway").splitlines() if "exited on signal" in line]
