"""The service at work: what it watches, records and survives."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from experiment.record.database import Database, DatabaseError
from experiment.record.retention import forget
from experiment.service import Service, StartError
from experiment.settings import Settings
from local.parts import ROOT
from tests.classes import LEMON
from tests.experiment.conftest import PLAN_TEXT, At, Ledger, begin, line, report_of, take_in
from tests.system import eventually


class Healthz(BaseHTTPRequestHandler):
    """Says which weights run, as nginx does."""

    weights = "1" * 64

    def do_GET(self) -> None:
        states = {
            "vgg16": {"ready": True, "weights": {"file": "a.pt", "sha256": self.weights}},
            "custom": {"ready": False},
        }
        body = json.dumps({"epoch": 1, "variants": states}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def healthz() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Healthz) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiment.service._WATCH_S", 0.05)


def test_every_change_of_the_split_is_recorded_with_its_figures(at_work: At) -> None:
    at_work.ledger.write(line("a"))
    eventually(lambda: at_work.report()["traffic"]["assigned"])
    at_work.force("weighted", {"vgg16": 100}, "promote", "because")
    found = eventually(lambda: at_work.report()["decisions"][:-1])
    assert [(entry["action"], entry["reason"], entry["epoch"]) for entry in found] == [("promote", "because", 2)]
    assert found[0]["split"] == "weighted custom=0 vgg16=100"
    assert found[0]["figures"]["requests"] == {"custom": 1}
    assert at_work.report()["decisions"][-1]["action"] == "experiment"


def test_a_change_is_recorded_once_though_the_service_starts_again(tmp_path: Path) -> None:
    for _ in range(2):
        with At(tmp_path) as running:
            if not running.service.changes.splits.history():
                running.force("weighted", {"vgg16": 100}, "promote")
            eventually(running.has_noted)
            assert [entry["action"] for entry in running.report()["decisions"]] == ["promote", "experiment"]


def test_the_weights_are_recorded_and_a_change_of_them_invalidates(
    at_work: At, healthz: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_work.service.settings, "abtest_url", healthz)
    eventually(lambda: at_work.report()["weights"].get("vgg16"))
    monkeypatch.setattr(Healthz, "weights", "2" * 64)
    report = eventually(lambda: (found := at_work.report())["verdict"]["outcome"] == "invalid" and found)
    assert report["decisions"][0]["action"] == "weights"
    assert report["decisions"][0]["weights"]["vgg16"]["sha256"] == "2" * 64


def test_a_guardrail_that_tripped_is_shown(at_work: At) -> None:
    at_work.force("weighted", {"custom": 100}, "guardrail", "vgg16 failed 9 of its last 9 requests")
    guardrail = eventually(lambda: (found := at_work.report()["guardrail"])["latched"] and found)
    assert guardrail["reason"] == "vgg16 failed 9 of its last 9 requests"
    assert at_work.report()["verdict"]["next"]["command"] == "abtest rollback"
    assert "All traffic goes to custom." in at_work.client.get("/experiment").text
    at_work.force("round_robin", action="rollback")
    eventually(lambda: not at_work.report()["guardrail"]["latched"])


def test_a_changed_plan_begins_a_new_experiment_while_the_service_runs(at_work: At) -> None:
    at_work.ledger.write(line("a"))
    eventually(lambda: at_work.report()["traffic"]["assigned"])
    at_work.plan.write_text(PLAN_TEXT + "alpha = 0.01\n")
    report = eventually(lambda: (found := at_work.report())["experiment"]["id"] == 2 and found)
    assert report["traffic"]["assigned"] == {}
    old = at_work.client.get("/experiment.json?id=1").json()
    assert old["traffic"]["assigned"] == {"custom": 1}
    assert old["experiment"]["ended"] == report["experiment"]["started"]
    assert "until" in at_work.client.get("/experiment?id=1").text
    assert at_work.client.get("/experiment.json?id=9").status_code == 404
    assert at_work.client.get("/experiment?id=9").status_code == 404
    assert at_work.client.get("/experiment?id=0").status_code == 422


def test_a_broken_plan_changes_nothing_and_is_said(at_work: At) -> None:
    at_work.plan.write_text("alpha = ")
    report = eventually(lambda: (found := at_work.report())["plan_problem"] and found)
    assert report["experiment"]["id"] == 1
    assert "The plan in force stays as it was" in at_work.client.get("/experiment").text
    at_work.plan.write_text(PLAN_TEXT)
    eventually(lambda: not at_work.report()["plan_problem"])


def test_what_disturbs_the_watch_does_not_end_it(
    at_work: At, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise OperationalError("", {}, Exception("locked"))

    with monkeypatch.context() as patched:
        patched.setattr(at_work.service.changes, "settle", away)
        eventually(lambda: "Watching is disturbed" in caplog.text)
    at_work.force("weighted", {"vgg16": 100}, "promote")
    eventually(lambda: len(at_work.report()["decisions"]) == 2)


def test_a_database_that_is_away_is_said_so(at_work: At, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise OperationalError("", {}, Exception("locked"))

    monkeypatch.setattr(at_work.service, "_make_report", away)
    at_work.service._cache.clear()
    assert at_work.client.get("/experiment.json").status_code == 503
    page = at_work.client.get("/experiment")
    assert page.status_code == 503
    assert "Nothing is lost" in page.text


def test_it_lives(at_work: At) -> None:
    assert at_work.client.get("/livez").json() == {"alive": True}


def test_what_is_missing_is_said_before_it_starts(tmp_path: Path) -> None:
    there, plan = tmp_path / "there", tmp_path / "experiment.toml"
    there.mkdir()
    plan.write_text(PLAN_TEXT)
    with pytest.raises(StartError, match="LEDGER_DIR="):
        Service(Settings(ledger_dir=tmp_path / "none", state_dir=there, plan=plan))
    with pytest.raises(StartError, match="DATA_DIR="):
        Service(Settings(ledger_dir=there, state_dir=there, plan=plan, data_dir=plan / "data"))
    with pytest.raises(DatabaseError, match="DATABASE_URL"):
        Service(Settings(ledger_dir=there, state_dir=there, plan=plan, database_url="what://is-this"))


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("EXPERIMENT_PORT", "x", "EXPERIMENT_PORT=x:"),
        ("LEDGER_DIR", "/nowhere", "LEDGER_DIR=/nowhere is no folder."),
        ("PLAN", "/nowhere", "/nowhere cannot be read"),
        ("DATABASE_URL", "postgresql+psycopg://ab@127.0.0.1:1/ab", "The database cannot be opened: "),
    ],
)
def test_the_process_ends_with_one_clear_line(tmp_path: Path, setting: str, value: str, said: str) -> None:
    folders = {name: str(tmp_path) for name in ("LEDGER_DIR", "STATE_DIR", "DATA_DIR")}
    ended = subprocess.run(
        [sys.executable, "-m", "experiment"],
        env={**os.environ, **folders, setting: value},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_old_requests_are_forgotten_and_their_counts_stay(database: Database, ledger: Ledger) -> None:
    begin(database, earlier_s=100 * 86_400)
    old = time.time() - 95 * 86_400
    take_in(database, ledger, *(line(f"old{number}", ts=old) for number in range(20)), line("new"))
    assert forget(database, keep_days=90, database_mb=1000) == 20
    assert report_of(database)["traffic"]["assigned"] == {"custom": 21}
    assert forget(database, keep_days=90, database_mb=1000) == 0


def test_a_database_too_large_forgets_the_oldest(
    database: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(database)
    take_in(database, ledger, *(line(str(number)) for number in range(50)))
    sizes = iter([2, 2, 0])
    monkeypatch.setattr(database, "size", lambda _: next(sizes) * 2**20)
    monkeypatch.setattr("experiment.record.retention._AT_ONCE", 20)
    assert forget(database, keep_days=90, database_mb=1) == 40
    assert report_of(database)["traffic"]["assigned"] == {"custom": 50}


def test_the_size_of_a_database_is_known(database: Database) -> None:
    with database.read() as connection:
        assert 0 < database.size(connection) < 2**20


def test_settings_that_are_left_empty_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KEEP_IMAGES", "DATABASE_URL", "KEEP_DAYS"):
        monkeypatch.setenv(name, "")
    settings = Settings()
    assert (settings.keep_images, settings.database_url, settings.keep_days) == (None, "", 90)


def test_labels_go_on_while_the_ledger_is_read(serve: Callable[..., Any], database_url: str) -> None:
    with serve(database_url=database_url) as running:
        running.ledger.write(*(line(str(number), ("custom", "vgg16")[number % 2]) for number in range(5000)))
        eventually(lambda: running.give("10", LEMON) == 201)
        eventually(lambda: sum(running.report()["traffic"]["assigned"].values()) == 5000)


@pytest.mark.parametrize("part", ["take_up", "note_event", "note_weights"])
def test_a_plan_changed_while_the_database_is_away_is_taken_up_whole_when_it_is_back(
    at_work: At, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    tried = threading.Event()

    def away(*_: object) -> bool:
        tried.set()
        raise OperationalError("", {}, Exception("locked"))

    with monkeypatch.context() as patched:
        patched.setattr(f"experiment.service.{part}", away)
        at_work.plan.write_text(PLAN_TEXT + "alpha = 0.01\n")
        assert tried.wait(60)
        assert at_work.report()["experiment"]["id"] == 1
    report = eventually(lambda: (found := at_work.report())["experiment"]["id"] == 2 and found)
    newest = report["decisions"][0]
    assert (newest["action"], newest["experiment"]) == ("experiment", 2)


def test_a_plan_half_saved_begins_no_experiment(at_work: At) -> None:
    """An editor that truncates the file, and writes it in two goes."""
    whole = PLAN_TEXT + "alpha = 0.01\n"
    for half in ("", whole[:20], PLAN_TEXT, whole):
        at_work.plan.write_text(half)
        time.sleep(0.3)
    report = eventually(lambda: (found := at_work.report())["experiment"]["id"] > 1 and found)
    assert (report["experiment"]["id"], report["experiment"]["alpha"]) == (2, 0.01)
    assert len(report["experiment"]["others"]) == 1


def test_a_variant_that_hangs_and_a_volume_that_fills_are_on_the_page(at_work: At) -> None:
    at_work.service.changes.gateways.seen("gateway", epoch=1, hung=("vgg16",), low=True)
    report = at_work.report()
    assert (report["hung"], report["ledger"]["low"]) == (["vgg16"], ["gateway"])
    page = at_work.client.get("/experiment").text
    assert "vgg16 hangs." in page
    assert "gateway runs out of room for its ledger." in page
