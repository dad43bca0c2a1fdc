"""The tables, in SQLite or PostgreSQL, and transactions on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    func,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

__all__ = [
    "Database",
    "DatabaseError",
    "arrivals",
    "checkpoints",
    "counts",
    "decisions",
    "experiments",
    "files",
    "gateways",
    "people",
    "requests",
    "sessions",
    "splits",
    "tokens",
    "weights",
]

metadata = MetaData()

experiments = Table(
    "experiment",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("plan", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("started", Float, nullable=False),
    Column("key", String(32)),
)

# A file of the ledger is known by the hash of its first line: its name changes when it is rotated, and its inode may
# be that of an earlier file. ``gateway`` is the one that its follower is beside; null where the service itself reads.
files = Table(
    "ledger_file",
    metadata,
    Column("identity", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("gone", Boolean, nullable=False, default=False),
    Column("gateway", String(64)),
)

# Where followers beside the gateways read their ledgers: when each had last read all, by the database's clock, to which
# rotated file, and what its gateway told the service that it had written.
gateways = Table(
    "gateway",
    metadata,
    Column("gateway", String(64), primary_key=True),
    Column("read", Float),
    Column("read_to", Text),
    Column("written", Text),
)

# The lines of the last minutes, which these followers pass on to the service, in the order that they were committed.
arrivals = Table(
    "arrival",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("read", Float, nullable=False, index=True),
    Column("lines", Text, nullable=False),
)

# ``rest`` counts the lines that are no shadow beyond the first.
requests = Table(
    "request",
    metadata,
    Column("request_id", String(64), primary_key=True),
    Column("ts", Float, nullable=False),
    Column("experiment", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("assigned", String(64)),
    Column("forced", Boolean, nullable=False),
    Column("outcome", String(8)),
    Column("answer", String(64)),
    Column("rest", Integer, nullable=False),
    Column("failover", Boolean, nullable=False),
    Column("shadow", String(64)),
    Column("shadow_answer", String(64)),
    Column("disagree", Boolean, nullable=False),
    Column("label", String(64)),
    Column("source", String(8)),
    Column("labelled", Float),
    Column("labeller", String(64)),
    Column("left_out", String(8)),
    Column("gateway", String(64)),
    Column("image", String(64)),
    Column("person", String(64)),
    Column("ticket", LargeBinary(16)),
    sqlite_with_rowid=False,
)
Index("request_ts", requests.c.ts)
Index(
    "request_disagree",
    requests.c.ts,
    sqlite_where=requests.c.disagree,
    postgresql_where=requests.c.disagree,
)

# A photo, and a person, is looked up among what has a label.
for _column in (requests.c.image, requests.c.labeller):
    Index(
        f"request_{_column.name}",
        requests.c.experiment,
        _column,
        sqlite_where=requests.c.label.is_not(None),
        postgresql_where=requests.c.label.is_not(None),
    )

# Who was drawn for which variant under a sticky split.
people = Table(
    "person",
    metadata,
    Column("experiment", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("person", String(64), primary_key=True),
    Column("variant", String(64), primary_key=True),
    sqlite_with_rowid=False,
)

# Everything that is reported, counted when it happens: what a key means is said in ``counting``.
counts = Table(
    "count",
    metadata,
    Column("experiment", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("what", String(16), primary_key=True),
    Column("variant", String(64), primary_key=True),
    Column("a", String(64), primary_key=True),
    Column("b", String(64), primary_key=True),
    Column("n", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Every split that was ever asked for. Rows are added and settled, never changed otherwise and never deleted.
splits = Table(
    "split",
    metadata,
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("ts", Float, nullable=False),
    Column("action", String(16), nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("restores", Integer),
    Column("before", Integer),
    Column("split", Text, nullable=False),
    Column("standing", String(8), nullable=False),
    Column("answer", Text, nullable=False),
)

checkpoints = Table(
    "checkpoint",
    metadata,
    Column("experiment", Integer, primary_key=True, autoincrement=False),
    Column("labels", Integer, primary_key=True, autoincrement=False),
    Column("ts", Float, nullable=False),
    Column("cells", Text, nullable=False),
)

decisions = Table(
    "decision",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("ts", Float, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("experiment", Integer, nullable=False),
    Column("action", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("split", Text, nullable=False),
    Column("weights", Text, nullable=False),
    Column("figures", Text, nullable=False),
    UniqueConstraint("ts", "epoch", "action"),
)

weights = Table(
    "weights",
    metadata,
    Column("experiment", Integer, primary_key=True, autoincrement=False),
    Column("variant", String(64), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("file", Text, nullable=False),
    Column("since", Float, nullable=False),
)

# The token that each role was given last, and those who logged in by one. Digests only.
tokens = Table(
    "token",
    metadata,
    Column("role", String(16), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("made", Float, nullable=False),
)

sessions = Table(
    "session",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("token", String(64), nullable=False),
    Column("ends", Float, nullable=False),
)

_LOCK_S = 5
_SILENT_S = 15
_LOCK = 4_703_118  # any number, the same in every copy of this service


class DatabaseError(Exception):
    """A database that cannot be had; the message says what to change."""


class Database:
    """One database. ``write`` transactions come one after another, whoever writes; ``read`` ones see one moment."""

    def __init__(self, url: str) -> None:
        """Makes the tables that are not there yet. Raises ``DatabaseError`` for a URL that means nothing."""
        try:
            engine = create_engine(url, pool_pre_ping=True, connect_args=_patience(url))
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError):
            raise DatabaseError(
                "DATABASE_URL is not understood. It looks like postgresql+psycopg://user:password@host/name, or is "
                "left empty for a file in DATA_DIR."
            ) from None
        self._engine = engine
        self._is_sqlite = engine.dialect.name == "sqlite"
        if self._is_sqlite:
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        with self.write() as connection:
            metadata.create_all(connection)
            _add_missing_columns(connection)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that no other writer overlaps, committed at the end."""
        with self._engine.connect().execution_options(write=True) as connection, connection.begin():
            if not self._is_sqlite:
                connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that changes nothing, and sees nothing of what begins to change meanwhile."""
        options = {} if self._is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self._engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    def add_counts(self, connection: Connection, added: list[dict[str, Any]]) -> None:
        """Adds ``n`` to the count of each key."""
        dialect = sqlite if self._is_sqlite else postgresql
        insert = dialect.insert(counts)
        upsert = insert.on_conflict_do_update(
            index_elements=list(counts.primary_key),
            set_={"n": counts.c.n + insert.excluded.n},
        )
        connection.execute(upsert, added)

    def add_people(self, connection: Connection, drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Adds those of ``drawn`` that are not there yet, and returns them."""
        dialect = sqlite if self._is_sqlite else postgresql
        adding = dialect.insert(people).on_conflict_do_nothing().returning(people)
        return [dict(row._mapping) for row in connection.execute(adding, drawn)]

    def size(self, connection: Connection) -> int:
        """Bytes that the rows take."""
        if self._is_sqlite:
            pages, free, page = (
                connection.execute(text(f"PRAGMA {name}")).scalar_one()
                for name in ("page_count", "freelist_count", "page_size")
            )
            return int((pages - free) * page)
        return int(connection.execute(select(func.pg_total_relation_size("request"))).scalar_one())

    def close(self) -> None:
        self._engine.dispose()


def _patience(url: str) -> dict[str, Any]:
    """That nobody waits longer for a lock of PostgreSQL than for SQLite's, nor for long for a machine that is no more.

    Such a one says no goodbye: PostgreSQL would keep its transaction, and with it the lock, for hours.
    """
    if make_url(url).get_backend_name() != "postgresql":
        return {}
    silent = {"idle_in_transaction_session_timeout": _SILENT_S * 1000, "tcp_user_timeout": _SILENT_S * 1000}
    there = {"lock_timeout": _LOCK_S * 1000, **silent}
    return {
        "connect_timeout": _LOCK_S,
        "options": " ".join(f"-c {name}={ms}" for name, ms in there.items()),
        "keepalives_idle": _LOCK_S,
        "keepalives_interval": _LOCK_S,
        "keepalives_count": 2,
        "tcp_user_timeout": _SILENT_S * 1000,
    }


def _add_missing_columns(connection: Connection) -> None:
    """What an earlier version's tables lack; every column that came later may be null."""
    known = inspect(connection)
    for table in metadata.sorted_tables:
        there = {column["name"] for column in known.get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                kind = column.type.compile(connection.dialect)
                connection.execute(text(f'ALTER TABLE "{table.name}" ADD COLUMN "{column.name}" {kind}'))


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions begin below, not where the driver thinks best
    for pragma in (
        "journal_mode=WAL",
        f"busy_timeout={1000 * _LOCK_S}",
        "cache_size=-65536",
        "wal_autocheckpoint=10000",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
