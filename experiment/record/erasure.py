"""Forgetting one request, or one person, because somebody asks for that."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, delete, select, update

from experiment.record.database import Database, counts, people, requests

__all__ = ["Erased", "erase_person", "erase_request"]


@dataclass(frozen=True)
class Erased:
    """How much was deleted. ``person`` is the key of whose request it was, where the ledger had one."""

    requests: int
    labels: int
    photos: int
    person: str | None = None


def erase_request(database: Database, photos: Path | None, request_id: str) -> Erased:
    """Deletes a request, its label and its photo. Raises ``OSError`` where the photo stays; then all does."""
    with database.write() as connection:
        return _erase(connection, photos, requests.c.request_id == request_id, [request_id])


def erase_person(database: Database, photos: Path | None, person: str) -> Erased:
    """The same for all requests of a person. What was counted by the person's key is kept under a key of nobody's."""
    nobody = f"{secrets.randbelow(10**10):010d}"
    with database.write() as connection:
        erased = _erase(connection, photos, requests.c.person == person, [])
        kept = counts.c.what == "person", counts.c.variant == person
        connection.execute(update(counts).where(*kept).values(variant=nobody))
        connection.execute(update(people).where(people.c.person == person).values(person=nobody))
        connection.execute(update(requests).where(requests.c.labeller == person).values(labeller=nobody))
    return erased


def _erase(connection: Connection, photos: Path | None, which: ColumnElement[bool], named: list[str]) -> Erased:
    c = requests.c
    rows = connection.execute(select(c.request_id, c.label, c.person).where(which)).all()
    gone = 0
    ids = {*named, *(row.request_id for row in rows)}
    for photo in [photos / f"{request_id}.jpg" for request_id in ids] if photos else []:
        gone += photo.exists()
        photo.unlink(missing_ok=True)
    connection.execute(delete(requests).where(which))
    labels = sum(row.label is not None for row in rows)
    return Erased(len(rows), labels, gone, rows[0].person if named and rows else None)
