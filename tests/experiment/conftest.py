"""What the tests of the experiment share: synthetic ledgers, databases of both kinds, a service at work."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text

from experiment.control.splits import Entry
from experiment.plan import Plan
from experiment.record.database import Database, metadata
from experiment.record.experiments import Experiments, take_up
from experiment.record.follower import Follower
from experiment.report.facts import make_report
from experiment.service import Service
from experiment.settings import Settings
from experiment.web.app import create_app
from tests.classes import LEMON
from tests.conftest import require
from tests.postgres import POSTGRES, Postgres
from tests.system import eventually, free_port
from traffic.split import Split, make_split

PLAN = Plan(control="custom", candidate="vgg16")
PLAN_TEXT = 'control = "custom"\ncandidate = "vgg16"\n'


def line(request_id: str, variant: str = "custom", by: str = "round_robin", **fields: Any) -> str:
    """A line of the ledger, ended."""
    ts = fields.pop("ts", time.time())
    entry = {
        "ts": datetime.fromtimestamp(ts, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "request_id": request_id,
        "epoch": 1,
        "variant": variant,
        "by": by,
        "status": 200,
        "predicted_class": LEMON,
        "probability": 0.9,
        "image_sha256": hashlib.sha256(request_id.encode()).hexdigest(),
        "upstream_time_s": 0.02,
        "upstream_addr": "127.0.0.1:8009",
    } | fields
    return json.dumps(entry, separators=(",", ":")) + "\n"


def both(
    request_id: str, custom: str, vgg16: str, assigned: str = "custom", by: str = "round_robin", **fields: Any
) -> str:
    """The lines of a request that both variants scored; the shadow's comes first, as nginx writes it."""
    answers = {"custom": custom, "vgg16": vgg16}
    other = "vgg16" if assigned == "custom" else "custom"
    return line(request_id, other, "shadow", predicted_class=answers[other], **fields) + line(
        request_id, assigned, by, predicted_class=answers[assigned], **fields
    )


class Ledger:
    """A folder that is written to as nginx does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self._rotations = 0

    @property
    def current(self) -> Path:
        return self.folder / "ledger.jsonl"

    def write(self, *lines: str | bytes) -> None:
        with self.current.open("ab") as file:
            for each in lines:
                file.write(each.encode() if isinstance(each, str) else each)

    def rotate(self) -> Path:
        self._rotations += 1
        rotated = self.folder / f"ledger-20260101T{self._rotations:06d}.jsonl"
        self.current.rename(rotated)
        return rotated


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL that lasts as long as the tests."""
    require("POSTGRES", (POSTGRES / "initdb").exists(), f"PostgreSQL in {POSTGRES}")
    with Postgres() as server:
        yield server.url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'experiment.db'}"
    url: str = request.getfixturevalue("postgres")
    engine = create_engine(url)
    metadata.drop_all(engine)
    engine.dispose()
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    """For what is no different in PostgreSQL."""
    opened = Database(f"sqlite:///{tmp_path / 'experiment.db'}")
    yield opened
    opened.close()


def begin(database: Database, plan: Plan = PLAN, earlier_s: float = 3600) -> None:
    """Begins an experiment, some time ago."""
    with database.write() as connection:
        take_up(connection, plan)
        connection.execute(text("UPDATE experiment SET started = started - :by"), {"by": earlier_s})


def take_in(database: Database, ledger: Ledger, *lines: str | bytes) -> None:
    """Writes lines and reads them."""
    ledger.write(*lines)
    Follower(ledger.folder, database).catch_up()


def report_of(database: Database) -> dict[str, Any]:
    """The report of the latest experiment under round robin."""
    split = make_split("round_robin", {}, ["custom", "vgg16"])
    with database.read() as connection:
        known = Experiments.load(connection)
        return make_report(connection, known.latest, known, {1: split}, split)


def total(database: Database, what: str) -> int:
    """The sum of all counts of a kind."""
    with database.read() as connection:
        found = connection.execute(text("SELECT sum(n) FROM count WHERE what = :what"), {"what": what}).scalar()
        return int(found or 0)


class At:
    """A service at work, its client and its folders."""

    def __init__(self, folder: Path, database_url: str = "", **settings: Any) -> None:
        self.ledger = Ledger(folder / "ledger")
        self.state_folder = folder / "state"
        self.state_folder.mkdir(parents=True, exist_ok=True)
        self.plan = folder / "experiment.toml"
        if not self.plan.exists():
            self.plan.write_text(PLAN_TEXT)
        self.service = Service(
            Settings(
                **{
                    "ledger_dir": self.ledger.folder,
                    "state_dir": self.state_folder,
                    "data_dir": folder / "data",
                    "plan": self.plan,
                    "database_url": database_url,
                    **settings,
                }
            )
        )
        self.client = TestClient(create_app(self.service))

    def __enter__(self) -> "At":
        self.client.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.client.__exit__(*error)

    def report(self) -> dict[str, Any]:
        """As it is now."""
        self.service._cache.clear()
        facts: dict[str, Any] = self.client.get("/experiment.json").json()
        return facts

    def has_noted(self) -> bool:
        """Whether the last change of the split is in the record."""
        return self.service._noted == self.service.changes.splits.in_force().epoch

    def give(self, request_id: str, label: str) -> int:
        """Gives a label as ``abtest replay`` does, whose folders were there before any answer."""
        said = {"request_id": request_id, "true_label": label, "blind": True}
        return self.client.post("/feedback", json=said, headers=self.operator).status_code

    @property
    def operator(self) -> dict[str, str]:
        """What whoever has the token sends."""
        settings = self.service.settings
        token = settings.abtest_token or (settings.data_dir / "token").read_text().strip()
        return {"Authorization": f"Bearer {token}"}

    def force(self, rule: Any = "round_robin", shares: Any = None, action: Any = "split", reason: str = "") -> None:
        """Puts a split in force without any nginx."""
        splits = self.service.changes.splits

        def make(before: Entry) -> tuple[Split, None]:
            return make_split(rule, shares or {}, ["custom", "vgg16"], before=before.split), None

        splits.ask(action, splits.in_force().epoch, make, "a test", reason, standing="in_force")


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[At]:
    with At(tmp_path) as running:
        yield running


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., Any]:
    """A service with settings of one's own."""

    @contextmanager
    def make(**settings: Any) -> Iterator[At]:
        with At(tmp_path, **settings) as running:
            yield running

    return make


@pytest.fixture
def report_under() -> Callable[..., Any]:
    """The report while a split is in force."""

    def make(database: Database, split: Any) -> dict[str, Any]:
        first = make_split("round_robin", {}, ["custom", "vgg16"])
        with database.read() as connection:
            known = Experiments.load(connection)
            return make_report(connection, known.latest, known, {1: first}, split)

    return make


@contextmanager
def on_port(running: At) -> Iterator[str]:
    """Puts a service's application on a port, beside the client that runs it."""
    port = free_port()
    config = uvicorn.Config(running.client.app, port=port, lifespan="off", log_config=None, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def serve_http() -> Iterator[Callable[[At], str]]:
    """Puts services on ports until the test is over."""
    with ExitStack() as stack:
        yield lambda running: stack.enter_context(on_port(running))
