"""Follows the ledger: reads what nginx adds to it, each line once, whatever stops in between."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from experiment.record.database import Database, files
from experiment.record.experiments import Experiments
from experiment.record.intake import Written, count_event, note_written, take_in
from experiment.record.ledger import CURRENT, LedgerFile, Line, ledger_files, parse

__all__ = ["Follower"]

log = logging.getLogger("experiment")

_POLL_S = 0.25
_RETRY_S = 1.0
_HURRY_S = 0.02


@dataclass
class _Known:
    """A file as last looked at: its name, and how long it was. All whole lines of that length are in the database."""

    name: str
    size: int | None = None

    @property
    def rotated(self) -> bool:
        """Whether nothing more will be written to it."""
        return PurePosixPath(self.name).name != CURRENT


class Follower:
    """Takes the ledger in ``folder`` into ``database``, in a thread of its own between ``start`` and ``stop``.

    ``seen`` is told of every block of lines once they are committed; ``taking`` in the transaction that takes them in.
    ``written`` says what was written by now, as far as gateways have told, by gateway and run. Followers that have a
    ``gateway`` each share a database, and leave the files of the others alone.
    """

    def __init__(
        self,
        folder: Path,
        database: Database,
        seen: Callable[[Sequence[Line]], None] = lambda _: None,
        written: Callable[[], Mapping[tuple[str, str], Written]] = dict,
        taking: Callable[[Connection, Sequence[Line]], None] = lambda *_: None,
        gateway: str | None = None,
    ) -> None:
        self._folder = folder
        self._database = database
        self._seen = seen
        self._written = written
        self._taking = taking
        self._gateway = gateway
        self._known: dict[str, _Known] | None = None
        self._missing: set[str] = set()
        self._noted: dict[tuple[str, str], Written] = {}
        self._read_to: dict[str, str] = {}
        # By experiment, when the first line was read after it began, on the monotonic clock.
        self._first_read: dict[int, float] = {}
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower")
        self.caught_up = -1.0
        """When the last pass began that reached the ledger's end, on the monotonic clock."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._wake.set()
        self._thread.join()

    def hurry(self) -> None:
        """Looks at the ledger now."""
        self._wake.set()

    def catch_up(self) -> None:
        """Takes in all that is in the ledger now. Raises ``SQLAlchemyError`` or ``OSError``; then again is safe."""
        began = time.monotonic()
        written = dict(self._written())
        if self._known is None:
            with self._database.read() as connection:
                own = select(files).where(~files.c.gone, files.c.gateway.is_not_distinct_from(self._gateway))
                rows = connection.execute(own)
                self._known = {row.identity: _Known(row.name) for row in rows}
        present = set()
        for file in ledger_files(self._folder):
            present.add(file.identity)
            size = file.size()
            known = self._known.get(file.identity)
            if known is None or (known.name, known.size) != (file.name, size):
                while self._take_block(file) and not self._stopped.is_set():
                    pass
                self._known[file.identity].size = size
        if not self._stopped.is_set():
            self._note_missing(self._known, present)
            self._note_written(written)
            self._note_read(self._known)
            self.caught_up = began

    def read_to(self, gateway: str) -> str:
        """The newest rotated file of ``gateway``, which like all before it was read; empty where there is none."""
        return self._read_to.get(gateway, self._read_to.get(".", ""))

    def _run(self) -> None:
        troubled = False
        while not self._stopped.is_set():
            self._wake.clear()
            try:
                self.catch_up()
            except (SQLAlchemyError, OSError) as error:
                if not troubled:
                    log.warning("The ledger waits: %s", str(error).splitlines()[0])
                troubled = True
                # Somebody else may have written to it meanwhile.
                self._known = None
                self._noted = {}
                self._stopped.wait(_RETRY_S)
                continue
            if troubled:
                log.info("The ledger is being read again.")
            troubled = False
            self._stopped.wait(_HURRY_S)
            self._wake.wait(_POLL_S)

    def _take_block(self, file: LedgerFile) -> bool:
        """Takes in what one transaction should hold; whether there may be more."""
        assert self._known is not None
        with self._database.write() as connection:
            # What is stored counts, not what is remembered: another copy of this service may have been here.
            row = connection.execute(select(files).where(files.c.identity == file.identity)).one_or_none()
            position = row.position if row else 0
            known = Experiments.load(connection)
            size = file.size()
            shortened = position > size
            raw, end = ([], size) if shortened else file.block(position)
            parsed = [parse(line) for line in raw]
            lines = [line for line in parsed if line is not None]
            take_in(self._database, connection, lines, known)
            self._taking(connection, lines)
            if early := self._early(lines, known):
                count_event(self._database, connection, known, "early", early)
            if len(lines) < len(raw):
                count_event(self._database, connection, known, "skipped", len(raw) - len(lines))
            if shortened:
                log.warning("%s is shorter than it was; lines may be lost.", file.name)
                count_event(self._database, connection, known, "gap")
            values = {"name": file.name, "position": end, "gone": False, "gateway": self._gateway}
            if row is None:
                connection.execute(insert(files).values(identity=file.identity, **values))
            elif any(getattr(row, name) != value for name, value in values.items()):
                connection.execute(update(files).where(files.c.identity == file.identity).values(values))
        self._known[file.identity] = _Known(file.name)
        if lines:
            self._seen(lines)
        return bool(raw)

    def _early(self, lines: Sequence[Line], known: Experiments) -> int:
        """How many lines bear a time before the experiment and were written in it: some clock was put back."""
        if not lines or not len(known):
            return 0
        latest = known.latest
        # What was there when the experiment began has been read by a pass that began after it.
        first = self._first_read.setdefault(latest.id, time.monotonic())
        if self.caught_up <= first and time.time() >= latest.started:
            return 0
        return sum(line.ts < latest.started for line in lines)

    def _note_written(self, written: dict[tuple[str, str], Written]) -> None:
        """Notes what gateways said they had written before this pass, which has read all there was of it."""
        if written == self._noted:
            return
        with self._database.write() as connection:
            known = Experiments.load(connection)
            for (gateway, run), told in written.items():
                if self._noted.get((gateway, run)) != told:
                    note_written(self._database, connection, known, gateway, run, told)
        self._noted = written

    def _note_read(self, known: dict[str, _Known]) -> None:
        """Of each folder, the newest of its rotated files, all of which have been read by now."""
        rotated = sorted(PurePosixPath(file.name) for file in known.values() if file.rotated)
        self._read_to = {str(path.parent): path.name for path in rotated}

    def _note_missing(self, known: dict[str, _Known], present: set[str]) -> None:
        """Writes off files that are gone, and counts a gap where something of them was not read."""
        missing = set(known) - present
        # Twice in a row: once may be a rename just while the folder was listed.
        for identity in missing & self._missing:
            file = known.pop(identity)
            with self._database.write() as connection:
                connection.execute(update(files).where(files.c.identity == identity).values(gone=True))
                if not file.rotated:
                    log.warning("%s was deleted; lines may be lost.", file.name)
                    count_event(self._database, connection, Experiments.load(connection), "gap")
        self._missing = missing
