"""The record of the split: every one that was asked for, and how it stands."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from sqlalchemy import Connection, func, insert, select, update

from experiment.record.database import Database, counts, splits
from traffic.render import UNRECORDED
from traffic.split import Split, SplitError, fit, make_split

__all__ = ["Action", "Entry", "Splits", "StaleError", "Standing"]

log = logging.getLogger("experiment")

Action = Literal[
    "start", "split", "promote", "rollback", "guardrail", "outage", "back", "redraw", "variants", "gateway"
]
Standing = Literal["asked", "in_force", "refused"]


class StaleError(SplitError):
    """A change that was made against a split that is no longer in force; the message is a sentence."""


@dataclass(frozen=True)
class Entry:
    """One row: ``ts`` in seconds since 1970, ``before`` the epoch in force until then, ``restores`` one brought back.

    ``in_force`` stays the standing of what was in force once. ``answer`` is why nginx, or nobody, took it over.
    """

    epoch: int
    ts: float
    action: Action
    asked_by: str
    reason: str
    restores: int | None
    before: int | None
    split: Split
    standing: Standing
    answer: str = ""

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "split": self.split.as_json(), "text": str(self.split)}


class Splits:
    """The table of splits in ``database``, for a system of the ``variants`` of these names, which may change."""

    def __init__(self, database: Database, variants: Sequence[str]) -> None:
        self._database = database
        self.variants = variants

    def in_force(self) -> Entry:
        """The latest split that was taken over; all variants in turn, in the epoch of no record, where none was."""
        with self._database.read() as connection:
            return self._in_force(connection)

    def asked(self) -> Entry | None:
        """The one that gateways are to take over now."""
        with self._database.read() as connection:
            return _last(connection, "asked")

    def get(self, epoch: int) -> Entry | None:
        with self._database.read() as connection:
            row = connection.execute(select(splits).where(splits.c.epoch == epoch)).one_or_none()
        return _entry(row) if row else None

    def latest(self) -> int:
        """The greatest epoch that the record has."""
        with self._database.read() as connection:
            return connection.execute(select(func.max(splits.c.epoch))).scalar() or 0

    def history(self) -> list[Entry]:
        """All entries, the oldest first."""
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(select(splits).order_by(splits.c.epoch))]

    def ask(
        self,
        action: Action,
        against: int,
        make: Callable[[Entry], tuple[Split, int | None]],
        asked_by: str,
        reason: str = "",
        seen: int = 0,
        standing: Standing = "asked",
    ) -> Entry:
        """Adds what ``make`` says should follow the entry in force, with the epoch that it brings back, if any.

        ``seen`` is the greatest epoch known from elsewhere; the new one is greater. Raises ``StaleError`` where
        ``against`` is not in force or another change is under way, and ``SplitError`` where ``make`` does; then nothing
        has changed.
        """
        with self._database.write() as connection:
            current = self._in_force(connection)
            if current.epoch != against:
                by = f", by {current.asked_by}" if current.asked_by else ""
                raise StaleError(
                    f"The split changed meanwhile: epoch {current.epoch}{by}. Look at `abtest status`, then ask again."
                )
            pending = _last(connection, "asked")
            if pending:
                raise StaleError(
                    f"Another change is under way: epoch {pending.epoch}, by {pending.asked_by}. Look at `abtest "
                    "status`, then ask again."
                )
            split, restores = make(current)
            epoch = max(_highest(connection), seen, current.epoch) + 1
            before = current.epoch if current.epoch != UNRECORDED else None
            entry = Entry(
                epoch, time.time(), action, asked_by, reason, restores, before, replace(split, epoch=epoch), standing
            )
            _add(connection, entry)
            return entry

    def settle(self, epoch: int, standing: Standing, answer: str = "") -> None:
        """Says how the change asked for as ``epoch`` ended; one that ended already stays as it is."""
        with self._database.write() as connection:
            changed = update(splits).where(splits.c.epoch == epoch, splits.c.standing == "asked")
            connection.execute(changed.values(standing=standing, answer=answer))

    def before(self, entry: Entry) -> Entry:
        """What ``abtest rollback`` brings back: the split before this one, or before the one it restores.

        Raises ``SplitError`` where there is none, or where it names a variant that is no more.
        """
        with self._database.read() as connection:
            known = {row.epoch: _entry(row) for row in connection.execute(select(splits))}
        epoch: int | None = entry.epoch
        while epoch in known and known[epoch].restores is not None:
            epoch = known[epoch].restores
        found = known.get(known[epoch].before or 0) if epoch in known else None
        if found is None:
            raise SplitError("There is no split before this one.")
        gone = [name for name, share in found.split.shares.items() if share and name not in self.variants]
        if gone:
            raise SplitError(
                f"The split before this one, epoch {found.epoch} ({found.split}), cannot be restored: "
                f"there is no variant {gone[0]!r} any more. Ask for another by `abtest split`."
            )
        return found

    def decided(self, entry: Entry) -> Entry:
        """The entry that decided on the split of this one: another list of variants alone decides nothing."""
        found: Entry | None = entry
        while found and found.action == "variants" and found.restores is not None:
            entry, found = found, self.get(found.restores)
        return found or entry

    def adopt(self, split: Split, gateway: str) -> None:
        """Adds what ``gateway`` serves and the record does not know: the database was lost, or is an old copy."""
        with self._database.write() as connection:
            if connection.execute(select(splits.c.epoch).where(splits.c.epoch == split.epoch)).first():
                return
            reason = "the gateway served it, and the record had lost it"
            before = self._in_force(connection).epoch or None
            _add(
                connection,
                Entry(split.epoch, time.time(), "gateway", gateway, reason, None, before, split, "in_force"),
            )
        log.warning("Epoch %d is taken over from %s: %s.", split.epoch, gateway, split)

    def take_over(self, folder: Path) -> int:
        """Adds the splits that an earlier version kept in files, once; how many."""
        with self._database.write() as connection:
            if connection.execute(select(splits.c.epoch)).first():
                return 0
            entries = _kept_in_files(folder)
            for entry in entries:
                _add(connection, entry)
        if entries:
            log.info("%d splits were taken over from %s.", len(entries), folder)
        return len(entries)

    def restated(self, entry: Entry, variants: Sequence[str] = ()) -> tuple[Split, int | None]:
        """The split of ``entry`` as ``variants`` allow it, without them those of today; for ``ask``."""
        split = fit(entry.split, variants or self.variants)
        same = entry.epoch != UNRECORDED and split.divides_as(entry.split)
        return split, entry.epoch if same else None

    def fits(self, entry: Entry) -> bool:
        """Whether every variant of ``entry`` is still there."""
        return fit(entry.split, self.variants) is entry.split

    def _in_force(self, connection: Connection) -> Entry:
        found = _last(connection, "in_force")
        if found:
            return found
        split = replace(make_split("round_robin", {}, self.variants), epoch=UNRECORDED)
        return Entry(UNRECORDED, time.time(), "start", "", "", None, None, split, "in_force")


def _last(connection: Connection, standing: Standing) -> Entry | None:
    chosen = select(splits).where(splits.c.standing == standing).order_by(splits.c.epoch.desc()).limit(1)
    row = connection.execute(chosen).one_or_none()
    return _entry(row) if row else None


def _highest(connection: Connection) -> int:
    """The greatest epoch that the record or a line of the ledger has."""
    recorded = connection.execute(select(func.max(splits.c.epoch))).scalar()
    counted = connection.execute(select(func.max(counts.c.epoch))).scalar()
    return max(recorded or 0, counted or 0)


def _entry(row: Any) -> Entry:
    return Entry(**{**row._mapping, "split": Split.from_json(json.loads(row.split))})


def _add(connection: Connection, entry: Entry) -> None:
    connection.execute(insert(splits).values({**vars(entry), "split": json.dumps(entry.split.as_json())}))


def _kept_in_files(folder: Path) -> list[Entry]:
    """``history.jsonl`` and ``split.json`` as far as they can be read; of an epoch that was used twice, the last."""
    found: dict[int, Entry] = {}
    before: int | None = None
    for line in _lines(folder / "history.jsonl"):
        try:
            change = json.loads(line)
            split = Split.from_json(change["split"])
            ts = datetime.fromisoformat(change["ts"]).timestamp()
            reason, restores = str(change.get("reason", "")), change.get("restores")
            action: Action = change["action"] if change["action"] in get_args(Action) else "split"
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # torn by a crash; what follows it may be whole
        if split.epoch in found:
            before = found[split.epoch].before
        if not isinstance(restores, int) or restores >= split.epoch:
            restores = None
        found[split.epoch] = Entry(split.epoch, ts, action, "", reason, restores, before, split, "in_force")
        before = split.epoch
    try:
        split = Split.from_json(json.loads("\n".join(_lines(folder / "split.json"))))
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    else:
        if split.epoch > max(found, default=0):
            found[split.epoch] = Entry(split.epoch, time.time(), "split", "", "", None, before, split, "in_force")
    return [found[epoch] for epoch in sorted(found)]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
