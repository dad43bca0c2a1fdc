"""The gateways that follow the record: who they are, what each of them serves, and what one of them refused."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from experiment.record.intake import Written

__all__ = ["Gateway", "Gateways"]

# A gateway that is well asks anew every 5 s.
_SEEN_S = 8.0


@dataclass
class Gateway:
    """One gateway as it last spoke: the ``epoch`` it serves, and the hash of what it was given for that (``have``).

    A ``run`` begins with each start of nginx; ``written`` are the lines that its ledger was given, by run. ``hung`` are
    the variants that give it no sign of life; ``low`` says that its ledger runs out of room. ``refused`` maps epochs to
    what nginx said.
    """

    name: str
    epoch: int = 0
    have: str = ""
    run: str = ""
    written: dict[str, Written] = field(default_factory=dict)
    hung: tuple[str, ...] = ()
    low: bool = False
    seen: float = 0.0
    asking: int = 0
    refused: dict[int, str] = field(default_factory=dict)


class Gateways:
    """All gateways that were seen since this service began. Any thread may ask; those who wait are told of changes."""

    def __init__(self) -> None:
        self._known: dict[str, Gateway] = {}
        self._changed = threading.Condition()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self.closed = False
        """Whether this service ends: nobody waits any more."""

    def seen(self, name: str, **said: object) -> Gateway:
        """Notes what a gateway says of itself; a new ``run`` of it has refused nothing yet."""
        with self._changed:
            gateway = self._known.setdefault(name, Gateway(name))
            if said.get("run", gateway.run) != gateway.run:
                gateway.refused.clear()
            for what, value in said.items():
                setattr(gateway, what, value)
            gateway.seen = time.monotonic()
            self._changed.notify_all()
            return gateway

    def refuse(self, name: str, epoch: int, why: str) -> None:
        with self._changed:
            gateway = self._known.setdefault(name, Gateway(name))
            gateway.refused[epoch] = why
            gateway.seen = time.monotonic()
            self._changed.notify_all()

    def present(self) -> list[Gateway]:
        """Those that are asking now, or did in the last seconds."""
        since = time.monotonic() - _SEEN_S
        with self._changed:
            return [gateway for gateway in self._known.values() if gateway.asking or gateway.seen >= since]

    def names(self) -> set[str]:
        """The names of those that are present."""
        return {gateway.name for gateway in self.present()}

    def highest_epoch(self) -> int:
        with self._changed:
            return max((gateway.epoch for gateway in self._known.values()), default=0)

    def written(self) -> dict[tuple[str, str], Written]:
        """What each gateway wrote in each run, as far as it has told."""
        with self._changed:
            return {(name, run): told for name, known in self._known.items() for run, told in known.written.items()}

    def close(self) -> None:
        """Sends everybody away who waits."""
        self.closed = True
        self.wake()

    def wait(self, timeout: float) -> None:
        """Until a gateway speaks, or ``timeout`` seconds."""
        with self._changed:
            self._changed.wait(timeout)

    def wake(self) -> None:
        """Tells the gateways that wait that there is something new for them."""
        with self._changed:
            waiting = list(self._waiting)
            self._changed.notify_all()
        for loop, event in waiting:
            loop.call_soon_threadsafe(event.set)

    @contextmanager
    def listening(self, gateway: Gateway) -> Iterator[asyncio.Event]:
        """An event that ``wake`` sets, while ``gateway`` waits in this thread's event loop."""
        entry = (asyncio.get_running_loop(), asyncio.Event())
        with self._changed:
            self._waiting.add(entry)
            gateway.asking += 1
        try:
            yield entry[1]
        finally:
            with self._changed:
                self._waiting.discard(entry)
                gateway.asking -= 1
                gateway.seen = time.monotonic()
