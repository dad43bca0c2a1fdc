"""Reads one gateway's ledger into the database that all share: ``python -m experiment.follow``, beside each gateway.

Where there are several machines the service, which runs on one of them, cannot read what nginx writes on the others.
"""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings
from sqlalchemy.exc import SQLAlchemyError

from experiment.record.database import Database, DatabaseError
from experiment.record.follower import Follower
from experiment.record.relay import Told, exchange, pass_on
from experiment.settings import FROM, wrong

__all__ = ["FollowSettings", "follow"]

T = TypeVar("T")

log = logging.getLogger("experiment")

_EXCHANGE_S = 1.0


class FollowSettings(BaseSettings):
    """``ledger_dir`` is where the ``gateway`` of this name writes; ``database_url`` a PostgreSQL that all reach."""

    model_config = FROM

    ledger_dir: Path
    database_url: str
    gateway: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


def follow(settings: FollowSettings, stopped: threading.Event) -> None:
    """Follows until ``stopped``, through absences of the database.

    Raises ``DatabaseError`` where that is none to be shared, or its URL means nothing.
    """
    if settings.database_url.startswith("sqlite"):
        raise DatabaseError(
            "DATABASE_URL names a SQLite file, which only parts on one machine can share. A follower beside a gateway "
            "writes to PostgreSQL: postgresql+psycopg://user:password@host/name."
        )
    database = _patiently(lambda: Database(settings.database_url), stopped)
    if database is None:
        return
    told: Told = {}
    follower = Follower(settings.ledger_dir, database, written=lambda: told, taking=pass_on, gateway=settings.gateway)
    follower.start()
    log.info("The ledger of %s is followed.", settings.gateway)
    while not stopped.is_set():
        at = follower.caught_up
        ago, read_to = (None if at < 0 else time.monotonic() - at), follower.read_to(settings.gateway)
        with suppress(SQLAlchemyError):  # the follower says so
            told = exchange(database, settings.gateway, ago, read_to)
        stopped.wait(_EXCHANGE_S)
    follower.stop()
    database.close()


def _patiently(attempt: Callable[[], T], stopped: threading.Event) -> T | None:
    """What ``attempt`` returns once the database answers; None where ``stopped`` comes first."""
    troubled = False
    while not stopped.is_set():
        try:
            return attempt()
        except SQLAlchemyError as error:
            if not troubled:
                log.warning("The database is waited for: %s", str(error).splitlines()[0])
            troubled = True
            stopped.wait(_EXCHANGE_S)
    return None


def main() -> None:
    """Runs until it is told to stop."""
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
    log.setLevel(logging.INFO)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        follow(FollowSettings(), stopped)  # type: ignore[call-arg]  # from the environment
    except ValidationError as error:
        sys.exit(wrong(error))
    except DatabaseError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
