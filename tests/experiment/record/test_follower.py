"""Each line once, whatever happens."""

import multiprocessing
import random
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from experiment.record.database import Database
from experiment.record.follower import Follower
from experiment.record.intake import Written
from experiment.record.ledger import Line, ledger_files
from tests.classes import APPLE, LEMON
from tests.experiment.conftest import Ledger, begin, both, line, report_of, take_in, total
from tests.system import eventually


def follow(folder: Path, database_url: str, begun: Connection) -> None:
    """What the process does that gets killed."""
    follower = Follower(folder, Database(database_url))
    begun.send(True)
    while True:
        follower.catch_up()


def test_lines_are_taken_in_as_they_come(database: Database, ledger: Ledger) -> None:
    begin(database)
    follower = Follower(ledger.folder, database)
    follower.catch_up()
    ledger.write(line("a"), line("b", "vgg16"))
    follower.catch_up()
    ledger.write(both("c", LEMON, APPLE))
    follower.catch_up()
    follower.catch_up()
    assert total(database, "line") == 4
    assert report_of(database)["traffic"]["assigned"] == {"custom": 2, "vgg16": 1}
    assert report_of(database)["pairs"]["disagree"] == 1


def test_a_new_process_goes_on_where_the_last_one_stopped(database: Database, ledger: Ledger) -> None:
    begin(database)
    for name in "abc":
        take_in(database, ledger, line(name))
    assert total(database, "line") == 3


def test_rotation_loses_and_repeats_nothing(database: Database, ledger: Ledger) -> None:
    begin(database)
    follower = Follower(ledger.folder, database)
    ledger.write(line("a"))
    follower.catch_up()
    rotated = ledger.rotate()
    with rotated.open("a") as file:  # nginx's workers still write to the old file for a moment
        file.write(line("b"))
    ledger.write(line("c"))
    follower.catch_up()
    rotated.unlink()  # read in full, so nobody misses it
    follower.catch_up()
    follower.catch_up()
    assert total(database, "line") == 3
    assert total(database, "gap") == 0


def test_hours_of_absence_are_caught_up(database: Database, ledger: Ledger) -> None:
    begin(database, earlier_s=100_000)
    take_in(database, ledger, line("first"))
    for part in range(4):
        ledger.write(*(line(f"{part}-{number}") for number in range(500)))
        ledger.rotate()
    ledger.write(line("last"))
    Follower(ledger.folder, database).catch_up()
    assert total(database, "assigned") == 2002
    assert total(database, "gap") == 0


def test_a_file_deleted_before_it_was_read_is_a_counted_gap(database: Database, ledger: Ledger) -> None:
    begin(database)
    take_in(database, ledger, line("a"))
    ledger.write(line("b"))
    ledger.rotate().unlink()
    ledger.write(line("c"))
    follower = Follower(ledger.folder, database)
    follower.catch_up()
    follower.catch_up()
    follower.catch_up()
    assert total(database, "line") == 2
    assert report_of(database)["ledger"]["gaps"] == 1


def test_a_file_that_got_shorter_is_a_counted_gap(database: Database, ledger: Ledger) -> None:
    begin(database)
    take_in(database, ledger, line("a"), line("b"))
    with ledger.current.open("r+b") as file:
        file.truncate(len(line("a")))
    follower = Follower(ledger.folder, database)
    follower.catch_up()
    ledger.write(line("c"))
    follower.catch_up()
    assert total(database, "line") == 3
    assert total(database, "gap") == 1


def test_lines_written_while_it_reads_count_once(database: Database, ledger: Ledger) -> None:
    begin(database)
    ledger.write(line("a"))
    follower = Follower(ledger.folder, database)
    follower.catch_up()
    ledger.write(line("b"))
    files = ledger_files(ledger.folder)
    file = next(files)
    ledger.write(line("c"))  # once the file is open
    while follower._take_block(file):
        pass
    follower.catch_up()
    assert total(database, "line") == 3
    assert total(database, "gap") == 0


def test_foreign_lines_are_counted_and_skipped(database: Database, ledger: Ledger) -> None:
    begin(database)
    take_in(database, ledger, line("a"), b"\xff\x00\x80 what\n", "\n", "{}\n", line("b"), line("torn")[:30])
    assert total(database, "line") == 2
    assert report_of(database)["ledger"]["skipped"] == 3
    ledger.write(line("torn")[30:])
    Follower(ledger.folder, database).catch_up()
    assert total(database, "line") == 3


def test_two_processes_at_once_count_nothing_twice(database: Database, ledger: Ledger) -> None:
    begin(database)
    one, other = Follower(ledger.folder, database), Follower(ledger.folder, database)
    ledger.write(line("a"))
    one.catch_up()
    other.catch_up()
    ledger.write(line("b"))
    other.catch_up()
    one.catch_up()
    assert total(database, "line") == 2


def test_a_killed_process_leaves_every_line_counted_once(database_url: str, ledger: Ledger) -> None:
    dice = random.Random(5)
    database = Database(database_url)
    begin(database)
    ledger.write(line("start"))
    written, number = 1, 0
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    for _ in range(15):
        heard, begun = processes.Pipe(duplex=False)
        process = processes.Process(target=follow, args=(ledger.folder, database_url, begun))
        process.start()
        assert heard.recv()
        for _ in range(dice.randrange(1, 40)):
            lines = []
            for _ in range(dice.randrange(1, 60)):
                number += 1
                lines.append(both(str(number), LEMON, dice.choice([LEMON, APPLE])))
                written += 2
            text = "".join(lines)
            cut = dice.randrange(len(text))
            ledger.write(text[:cut])
            ledger.write(text[cut:])
            if dice.random() < 0.1:
                ledger.rotate()
                ledger.write(line(f"rotated-{number}"))
                written += 1
        process.kill()
        process.join()
        process.close()
        heard.close()
        begun.close()
    Follower(ledger.folder, database).catch_up()
    assert total(database, "line") == written
    assert total(database, "latency") == written
    assert total(database, "pair") == number
    assert total(database, "assigned") == written - number
    assert total(database, "gap") + total(database, "skipped") == 0
    database.close()


def test_a_database_that_is_locked_for_a_while_is_waited_for(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'experiment.db'}")
    begin(database)
    seen: list[Line] = []
    follower = Follower(ledger.folder, database, seen.extend)
    away = threading.Event()
    refused = threading.Event()
    write = database.write

    def write_or_not() -> object:
        if away.is_set():
            refused.set()
            raise SQLAlchemyError("database is locked")
        return write()

    monkeypatch.setattr(database, "write", write_or_not)
    monkeypatch.setattr("experiment.record.follower._RETRY_S", 0.01)
    follower.start()
    try:
        ledger.write(line("a"))
        eventually(lambda: [found.request_id for found in seen] == ["a"])
        away.set()
        ledger.write(line("b"))
        assert refused.wait(10)
        away.clear()
        eventually(lambda: [found.request_id for found in seen] == ["a", "b"])
    finally:
        follower.stop()
    assert total(database, "line") == 2
    assert "The ledger waits: database is locked" in caplog.text
    database.close()


def test_further_gateways_have_folders_of_their_own(sqlite: Database, ledger: Ledger) -> None:
    begin(sqlite)
    second = Ledger(ledger.folder / "second")
    ledger.write(line("a", gateway="gateway", run="1"))
    second.write(line("b", "vgg16", gateway="second", run="1"))
    second.rotate()
    second.write(line("c", "vgg16", gateway="second", run="1"))
    follower = Follower(ledger.folder, sqlite)
    follower.catch_up()
    assert report_of(sqlite)["traffic"]["assigned"] == {"custom": 1, "vgg16": 2}
    assert follower.read_to("gateway") == ""
    assert follower.read_to("second") == "ledger-20260101T000001.jsonl"
    ledger.rotate()
    follower.catch_up()
    assert follower.read_to("gateway") == "ledger-20260101T000001.jsonl"


def test_what_a_gateway_wrote_and_nobody_found_is_lost_until_it_is_found(database: Database, ledger: Ledger) -> None:
    begin(database)
    told = {("gateway", "1"): Written(3)}
    follower = Follower(ledger.folder, database, written=lambda: told)
    ledger.write(line("a", gateway="gateway", run="1"))
    follower.catch_up()
    assert total(database, "lost") == 2
    assert "2 lines of the ledger were lost" in " ".join(report_of(database)["weaknesses"])
    ledger.write(line("b", gateway="gateway", run="1"))
    told["gateway", "1"] = Written(4)
    told["gateway", "2"] = Written(1)
    follower.catch_up()
    assert total(database, "lost") == 3
    Follower(ledger.folder, database, written=lambda: told).catch_up()
    assert total(database, "lost") == 3


def test_a_clock_that_was_put_back_is_said(sqlite: Database, ledger: Ledger) -> None:
    begin(sqlite, earlier_s=60)
    follower = Follower(ledger.folder, sqlite)
    long_ago = time.time() - 3600
    ledger.write(line("before it began", ts=long_ago))
    follower.catch_up()
    for name in "ab":
        ledger.write(line(name))
        follower.catch_up()
    assert total(sqlite, "early") == 0
    ledger.write(line("c", ts=long_ago))
    follower.catch_up()
    assert total(sqlite, "early") == 1
    assert "a clock was put back" in " ".join(report_of(sqlite)["weaknesses"])


def test_a_clock_that_is_before_the_experiment_is_said_at_once(sqlite: Database, ledger: Ledger) -> None:
    begin(sqlite, earlier_s=-3600)
    take_in(sqlite, ledger, line("a"), line("b"))
    assert total(sqlite, "early") == 2


def test_a_torn_line_at_the_end_keeps_no_file_from_being_given_up(sqlite: Database, ledger: Ledger) -> None:
    begin(sqlite)
    ledger.write(line("a"), '{"ts":"2026-')
    ledger.rotate()
    follower = Follower(ledger.folder, sqlite)
    follower.catch_up()
    assert follower.read_to("gateway") == "ledger-20260101T000001.jsonl"


def test_a_worker_that_was_killed_may_have_lost_a_line(database: Database, ledger: Ledger) -> None:
    begin(database)
    told = {("gateway", "1"): Written(1, 2)}
    ledger.write(line("a", gateway="gateway", run="1"))
    follower = Follower(ledger.folder, database, written=lambda: told)
    follower.catch_up()
    told["gateway", "1"] = Written(1, 3)
    follower.catch_up()
    Follower(ledger.folder, database, written=lambda: told).catch_up()
    assert (total(database, "killed"), total(database, "lost")) == (3, 0)
    assert "3 workers of nginx were killed" in " ".join(report_of(database)["weaknesses"])
