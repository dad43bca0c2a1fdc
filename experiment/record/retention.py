"""Forgetting old requests and photos; what was counted from them stays."""

import logging
import time
from pathlib import Path

from sqlalchemy import delete, select

from experiment.record.database import Database, requests

__all__ = ["forget", "forget_photos"]

log = logging.getLogger("experiment")

_AT_ONCE = 10_000
_DAY_S = 86_400


def forget(database: Database, keep_days: int, database_mb: int) -> int:
    """Deletes requests older than ``keep_days``, and the oldest while there is more than ``database_mb``; how many."""
    forgotten = 0
    cutoff = time.time() - keep_days * _DAY_S
    while True:
        with database.write() as connection:
            too_large = database.size(connection) > database_mb * 2**20
            oldest = select(requests.c.request_id).order_by(requests.c.ts).limit(_AT_ONCE)
            if not too_large:
                oldest = oldest.where(requests.c.ts < cutoff)
            deleted = connection.execute(delete(requests).where(requests.c.request_id.in_(oldest))).rowcount
        forgotten += deleted
        if deleted < _AT_ONCE:
            break
    if forgotten:
        log.info("%d old requests were forgotten; their counts stay.", forgotten)
    return forgotten


def forget_photos(folder: Path, keep_days: int) -> int:
    """Deletes kept photos older than ``keep_days``; how many. Raises ``OSError`` where one stays."""
    cutoff = time.time() - keep_days * _DAY_S
    old = [path for path in folder.glob("[!.]*.jpg") if path.stat().st_mtime < cutoff]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)
