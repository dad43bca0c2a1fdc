"""Between followers beside the gateways and the service, by way of the database that they share.

A follower passes on what it took in, and says how far it has read; the service what gateways say they have written.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection, cast, delete, extract, func, insert, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import Float

from experiment.record.database import Database, arrivals, gateways
from experiment.record.experiments import Experiments
from experiment.record.intake import Written, note_written
from experiment.record.ledger import Line

__all__ = ["KEPT_S", "Relay", "exchange", "pass_on"]

log = logging.getLogger("experiment")

KEPT_S = 600.0
"""So long lines are passed on: what guardrails look at."""

_PASSED_ON = 8  # the fields of a line up to its time: what guardrails and feedback that waits need
_AT_ONCE = 100
_POLL_S = 0.25
_RETRY_S = 1.0
_EXCHANGE_S = 1.0
# A gateway and a follower that are silent for so long are taken to be away, with what they had not passed on.
_SILENT_S = 60.0

_now = cast(extract("epoch", func.clock_timestamp()), Float)

Told = Mapping[tuple[str, str], Written]
"""What gateways say they have written, by gateway and run."""


def pass_on(connection: Connection, lines: Sequence[Line]) -> None:
    """Leaves recent ``lines`` for the service, in the transaction that takes them in."""
    since = time.time() - KEPT_S
    recent = [line[:_PASSED_ON] for line in lines if line.ts >= since]
    if recent:
        text = json.dumps(recent, separators=(",", ":"))
        connection.execute(insert(arrivals).values(read=_now, lines=text))


def exchange(database: Database, gateway: str, ago: float | None, read_to: str) -> Told:
    """Says that all was read ``ago`` seconds ago, and rotated files up to ``read_to``; returns what was written by now.

    Lines that were passed on long ago go.
    """
    with database.write() as connection:
        connection.execute(delete(arrivals).where(arrivals.c.read < _now - KEPT_S))
        said = {} if ago is None else {"read": _now - ago, "read_to": read_to}
        _say(connection, gateway, **said)
        written = connection.execute(select(gateways.c.written).where(gateways.c.gateway == gateway)).scalar()
    return _told(gateway, written)


class Relay:
    """In place of a ``Follower``, in a service that reads no ledger: tells ``seen`` what followers took in.

    ``present`` names the gateways that are there now, ``written`` says what each has told.
    """

    def __init__(
        self,
        database: Database,
        seen: Callable[[Sequence[Line]], None],
        present: Callable[[], set[str]],
        written: Callable[[], Told],
    ) -> None:
        self._database = database
        self._seen = seen
        self._present = present
        self._written = written
        self._last = 0
        self._exchanged = 0.0
        self._said: dict[str, str] = {}
        self._written_off: dict[str, str] = {}
        self._read_to: dict[str, str] = {}
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay")
        self.caught_up = -1.0
        """When the followers of all gateways that are there had read all, on the monotonic clock."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._wake.set()
        self._thread.join()

    def hurry(self) -> None:
        """Looks at the database now; followers look at their ledgers often enough."""
        self._wake.set()

    def read_to(self, gateway: str) -> str:
        """The newest rotated file of ``gateway``, which like all before it was read; empty where there is none."""
        return self._read_to.get(gateway, "")

    def look(self) -> None:
        """Passes on what is new, and every second says and hears how far gateways and followers are."""
        while self._take() == _AT_ONCE and not self._stopped.is_set():
            pass
        if time.monotonic() - self._exchanged >= _EXCHANGE_S:
            self._exchanged = time.monotonic()
            self._say_written()
            self._hear()

    def _run(self) -> None:
        troubled = False
        while not self._stopped.is_set():
            self._wake.clear()
            try:
                self.look()
            except SQLAlchemyError as error:
                if not troubled:
                    log.warning("What followers read waits: %s", str(error).splitlines()[0])
                troubled = True
                self._stopped.wait(_RETRY_S)
                continue
            troubled = False
            self._wake.wait(_POLL_S)

    def _take(self) -> int:
        # One writer after another: what has a greater number was committed later.
        chosen = select(arrivals).where(arrivals.c.id > self._last).order_by(arrivals.c.id).limit(_AT_ONCE)
        with self._database.read() as connection:
            rows = connection.execute(chosen).all()
        for row in rows:
            self._seen([Line(*fields) for fields in json.loads(row.lines)])
            self._last = row.id
        return len(rows)

    def _say_written(self) -> None:
        by_gateway: dict[str, dict[str, Written]] = {}
        for (gateway, run), written in self._written().items():
            by_gateway.setdefault(gateway, {})[run] = written
        said = {gateway: json.dumps(runs) for gateway, runs in by_gateway.items()}
        news = {gateway: text for gateway, text in said.items() if self._said.get(gateway) != text}
        if news:
            with self._database.write() as connection:
                for gateway, text in news.items():
                    _say(connection, gateway, written=text)
            self._said = said

    def _hear(self) -> None:
        asked = time.monotonic()
        with self._database.read() as connection:
            rows = connection.execute(select(gateways, (_now - gateways.c.read).label("ago"))).all()
        self._read_to = {row.gateway: row.read_to for row in rows if row.read_to}
        ago = {row.gateway: row.ago for row in rows}
        present = self._present()
        # Whoever is away has its own entry in the report; it holds up nobody.
        lags = [ago.get(gateway) for gateway in present or ago]
        self.caught_up = asked - max(lag for lag in lags if lag is not None) if lags and None not in lags else -1.0
        for row in rows:
            away = row.gateway not in present and (row.ago is None or row.ago > _SILENT_S)
            if not away:
                self._written_off.pop(row.gateway, None)
            elif row.written and self._written_off.get(row.gateway) != row.written:
                self._write_off(row.gateway, row.written)
                self._written_off[row.gateway] = row.written

    def _write_off(self, gateway: str, written: str) -> None:
        """Counts as lost what a gateway that is away wrote and nobody read; once it is read, it is no longer lost."""
        with self._database.write() as connection:
            known = Experiments.load(connection)
            for (_, run), told in _told(gateway, written).items():
                note_written(self._database, connection, known, gateway, run, told)


def _say(connection: Connection, gateway: str, **said: object) -> None:
    adding = postgresql.insert(gateways).values(gateway=gateway, **said)
    if said:
        connection.execute(adding.on_conflict_do_update(index_elements=["gateway"], set_=said))
    else:
        connection.execute(adding.on_conflict_do_nothing())


def _told(gateway: str, written: str | None) -> Told:
    return {(gateway, run): Written(*told) for run, told in json.loads(written or "{}").items()}
