"""Followers beside gateways, and a service that reads no ledger: together they know what one alone would."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from experiment.follow import FollowSettings, follow
from experiment.record.database import Database
from experiment.record.follower import Follower
from experiment.record.intake import Written
from experiment.record.ledger import Line
from experiment.record.relay import Relay, exchange, pass_on
from experiment.service import Service, StartError
from experiment.settings import Settings
from local.parts import ROOT
from tests.classes import APPLE, LEMON
from tests.experiment.conftest import At, Ledger, begin, both, line, report_of, total
from tests.system import eventually

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

Run = Callable[[str, Ledger], AbstractContextManager[None]]


@pytest.fixture
def run(database_url: str) -> Run:
    """Follows a gateway's ledger, as ``python -m experiment.follow`` does."""

    @contextmanager
    def make(gateway: str, ledger: Ledger) -> Iterator[None]:
        stopped = threading.Event()
        settings = FollowSettings(ledger_dir=ledger.folder, database_url=database_url, gateway=gateway)
        thread = threading.Thread(target=follow, args=(settings, stopped))
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    return make


def elsewhere(folder: Path, database_url: str) -> At:
    """A service on some machine."""
    return At(folder, database_url, ledger_dir=None, abtest_token="secret")


def hashed(at: At) -> list[str]:
    """How gateways are told to make people's hashes."""
    return [line for line in at.service.changes.offer().routes.splitlines() if "$whose" in line]


def ask(at: At, gateway: str, written: Mapping[str, Written] | None = None) -> str:
    """What a gateway is told when it says what it has written: the newest file that was read."""
    said = "".join(f"{run}:{told.lines}:{told.killed}," for run, told in (written or {}).items())
    asked = at.client.get("/gateway/split", params={"gateway": gateway, "run": "1", "written": said})
    return asked.headers["X-Ledger-Read"]


def test_every_line_counts_once_whichever_gateway_wrote_it(database: Database, tmp_path: Path) -> None:
    begin(database)
    ledgers = {name: Ledger(tmp_path / name) for name in ("north", "south")}
    followers = {name: Follower(ledgers[name].folder, database, gateway=name) for name in ledgers}
    for name, ledger in ledgers.items():
        ledger.write(line(f"{name}-a", gateway=name))
        ledger.rotate()
        ledger.write(line(f"{name}-b", gateway=name))
    for _ in range(3):
        for follower in followers.values():
            follower.catch_up()
    # A file that one of them deletes when it was read is no business of the other.
    followers = {name: Follower(ledgers[name].folder, database, gateway=name) for name in ledgers}
    for _ in range(3):
        for follower in followers.values():
            follower.catch_up()
    assert (total(database, "line"), total(database, "gap")) == (4, 0)
    assert followers["south"].read_to("south") == "ledger-20260101T000001.jsonl"
    ledgers["south"].current.unlink()
    for _ in range(3):
        for follower in followers.values():
            follower.catch_up()
    assert total(database, "gap") == 1


def test_a_service_and_a_follower_on_the_same_ledger_count_nothing_twice(database: Database, ledger: Ledger) -> None:
    begin(database)
    within, beside = Follower(ledger.folder, database), Follower(ledger.folder, database, gateway="gateway")
    for number in range(4):
        ledger.write(line(f"{number}"))
        (within, beside)[number % 2].catch_up()
        (beside, within)[number % 2].catch_up()
        if number == 2:
            ledger.rotate()
    assert (total(database, "line"), total(database, "gap")) == (4, 0)


def test_what_followers_read_takes_effect_in_the_service(run: Run, database_url: str, tmp_path: Path) -> None:
    north, south = Ledger(tmp_path / "north"), Ledger(tmp_path / "south")
    with elsewhere(tmp_path, database_url) as at, run("north", north), run("south", south):
        ask(at, "north")
        ask(at, "south")
        eventually(lambda: at.service.follower.caught_up > 0)
        north.write(both("n", LEMON, APPLE, gateway="north", run="1"))
        south.write(line("s", "vgg16", gateway="south", run="1"))
        assert at.give("n", LEMON) == 201
        assert at.give("s", APPLE) == 201
        assert at.give("nobody", APPLE) == 404
        assert at.report()["traffic"]["assigned"] == {"custom": 1, "vgg16": 1}
        assert at.report()["ledger"]["read_s_ago"] < 5
        north.rotate()
        eventually(lambda: ask(at, "north") == "ledger-20260101T000001.jsonl")
        assert ask(at, "south") == ""


def test_the_guardrail_acts_on_what_followers_read(run: Run, database_url: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "north")
    with elsewhere(tmp_path, database_url) as at, run("north", ledger):
        at.force()
        epoch = at.service.changes.splits.in_force().epoch
        for number in range(40):
            failed: dict[str, Any] = {"status": 500, "predicted_class": None, "probability": None} if number % 2 else {}
            name = ("custom", "vgg16")[number % 2]
            ledger.write(line(str(number), name, gateway="north", epoch=epoch, **failed))
        eventually(lambda: any(found.state == "breach" for found in at.service.guard.checks))


def test_a_follower_whose_gateway_is_there_is_waited_for(database_url: str, tmp_path: Path) -> None:
    with elsewhere(tmp_path, database_url) as at:
        ask(at, "north")
        assert at.give("a", LEMON) == 503
        assert at.report()["ledger"]["read_s_ago"] is None


def test_what_a_dead_node_wrote_is_lost_until_it_is_back(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(database)
    ledger = Ledger(tmp_path / "north")
    follower = Follower(ledger.folder, database, taking=pass_on, gateway="north")
    ledger.write(line("a", gateway="north", run="1"))
    follower.catch_up()
    exchange(database, "north", 0.0, "")
    present = {"north"}
    relay = Relay(database, lambda _: None, lambda: present, lambda: {("north", "1"): Written(3)})
    relay.look()
    # A pass that began before the gateway spoke proves nothing.
    assert total(database, "lost") == 0
    monkeypatch.setattr("experiment.record.relay._EXCHANGE_S", 0)
    present.clear()
    relay.look()
    assert total(database, "lost") == 0  # it may be back in a moment
    with database.write() as connection:
        connection.execute(text("UPDATE gateway SET read = read - 61"))
    relay.look()
    relay.look()
    assert total(database, "lost") == 2
    # Its disk was spared.
    ledger.write(line("b", gateway="north", run="1"))
    told = exchange(database, "north", 0.0, "")
    Follower(ledger.folder, database, written=lambda: told, gateway="north").catch_up()
    assert (total(database, "line"), total(database, "lost")) == (2, 1)


def test_a_follower_notes_what_its_gateway_wrote_and_nobody_finds(
    run: Run, database_url: str, database: Database, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path / "north")
    with elsewhere(tmp_path, database_url) as at, run("north", ledger):
        ledger.write(line("a", gateway="north", run="1"))
        ask(at, "north", {"1": Written(3, 1)})
        eventually(lambda: (total(database, "lost"), total(database, "killed")) == (2, 1))
        assert "2 lines of the ledger were lost" in " ".join(at.report()["weaknesses"])


def test_a_service_that_starts_on_another_machine_has_all_it_acknowledged(
    run: Run, database_url: str, database: Database, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path / "north")
    with run("north", ledger):
        with elsewhere(tmp_path / "one", database_url) as at:
            ask(at, "north")
            at.force("weighted", {"custom": 90, "vgg16": 10})
            epoch = at.service.changes.splits.in_force().epoch
            ledger.write(both("a", LEMON, APPLE, gateway="north"))
            assert at.give("a", LEMON) == 201
            labeller = at.client.post("/experiment/token", json={"role": "labeller"}, headers=at.operator).json()
            key = hashed(at)
        with elsewhere(tmp_path / "two", database_url) as at:
            assert at.service.changes.splits.in_force().epoch == epoch
            assert hashed(at) == key
            assert at.report()["labels"]["given"] == 1
            assert at.service.tokens.role_of(labeller["token"])
            assert at.client.post("/experiment/token", json={"role": "labeller"}, headers=at.operator).status_code < 300
            assert at.service.recent.of(1)  # guardrails go on, too
    assert not (tmp_path / "one" / "data" / "token").exists()


def test_a_follower_waits_for_its_database(run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stopped = threading.Event()
    settings = FollowSettings(
        ledger_dir=tmp_path, database_url="postgresql+psycopg://ab@127.0.0.1:1/none", gateway="north"
    )
    thread = threading.Thread(target=follow, args=(settings, stopped))
    thread.start()
    eventually(lambda: "The database is waited for" in caplog.text)
    stopped.set()
    thread.join(60)
    assert not thread.is_alive()


def said(**settings: str) -> str:
    """What the follower says as it ends."""
    done = subprocess.run(
        [sys.executable, "-m", "experiment.follow"],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    return done.stderr.strip()


def test_a_follower_says_what_it_lacks(database_url: str, tmp_path: Path) -> None:
    assert said(LEDGER_DIR=str(tmp_path), DATABASE_URL=database_url) == "GATEWAY is not set."
    everything = {"LEDGER_DIR": str(tmp_path), "GATEWAY": "north"}
    assert "which only parts on one machine can share" in said(DATABASE_URL="sqlite:///experiment.db", **everything)
    assert "DATABASE_URL is not understood" in said(DATABASE_URL="what://is-this", **everything)


def test_a_service_without_a_ledger_says_what_it_needs(database_url: str, tmp_path: Path) -> None:
    plan = ROOT / "experiment.toml"
    with pytest.raises(StartError, match=r"^LEDGER_DIR=none: followers .* DATABASE_URL"):
        Service(Settings(ledger_dir=Path("none"), data_dir=tmp_path, plan=plan, abtest_token="secret"))
    with pytest.raises(StartError, match=r"^LEDGER_DIR=none: .* ABTEST_TOKEN"):
        Service(Settings(ledger_dir=Path("none"), data_dir=tmp_path, plan=plan, database_url=database_url))


def test_secrets_are_read_from_files(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "database_url").write_text(f"{database_url}\n")
    (tmp_path / "abtest_token").write_text("secret\n")
    settings = Settings(_secrets_dir=tmp_path)  # type: ignore[call-arg]
    assert (settings.database_url, settings.abtest_token) == (database_url, "secret")
    beside = FollowSettings(_secrets_dir=tmp_path, ledger_dir=tmp_path, gateway="north")  # type: ignore[call-arg]
    assert beside.database_url == database_url


def test_lines_of_long_ago_are_not_passed_on(database: Database, ledger: Ledger) -> None:
    begin(database, earlier_s=100_000)
    follower = Follower(ledger.folder, database, taking=pass_on, gateway="north")
    ledger.write(line("old", ts=time.time() - 5000), line("new"))
    follower.catch_up()
    seen: list[Line] = []
    relay = Relay(database, seen.extend, set, dict)
    relay.look()
    assert [found.request_id for found in seen] == ["new"]
    with database.write() as connection:
        connection.execute(text("UPDATE arrival SET read = read - 601"))
    exchange(database, "north", None, "")
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM arrival")).scalar() == 0
    assert report_of(database)["traffic"]["assigned"] == {"custom": 2}


def test_a_follower_whose_node_is_no_more_keeps_nobody_waiting(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiment.record.database._SILENT_S", 1)
    dead = Database(database_url)

    def written() -> bool:
        try:
            begin(database)
        except SQLAlchemyError:
            return False
        return True

    with suppress(SQLAlchemyError), dead.write():  # and not a word since
        eventually(written)
    dead.close()
