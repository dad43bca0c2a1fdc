"""What takes part in the comparison, and how it is counted."""

import time
from itertools import pairwise
from typing import Any

import pytest

from experiment.record import intake
from experiment.record.counting import BUCKETS, bucket, bucket_end
from experiment.record.database import Database
from experiment.record.experiments import Experiments
from experiment.record.labels import Given, Label, give_label
from experiment.record.ledger import Line
from tests.classes import APPLE, LEMON
from tests.experiment.conftest import PLAN, Ledger, begin, both, line, report_of, take_in


@pytest.fixture(autouse=True)
def experiment(sqlite: Database) -> None:
    begin(sqlite)


def given(database: Database, ledger: Ledger, *lines: str, label: str = LEMON, **options: Any) -> dict[str, Any]:
    """The report once request ``r`` of ``lines`` has its label."""
    take_in(database, ledger, *lines)
    assert give_label(database, "r", Label(label, **{"source": "blind", **options})) is Given.TAKEN
    return report_of(database)


def test_a_request_both_scored_is_a_pair(sqlite: Database, ledger: Ledger) -> None:
    report = given(sqlite, ledger, both("r", APPLE, LEMON))
    assert report["pairs"]["only_candidate"] == 1
    assert report["confusion"] == {"custom": {LEMON: {APPLE: 1}}, "vgg16": {LEMON: {LEMON: 1}}}
    assert report["verdict"]["labels"] == 1


def test_the_order_of_the_lines_does_not_matter(sqlite: Database, ledger: Ledger) -> None:
    lines = both("r", APPLE, LEMON).splitlines(keepends=True)
    take_in(sqlite, ledger, lines[1])
    assert give_label(sqlite, "r", Label(LEMON, "blind")) is Given.TAKEN
    assert report_of(sqlite)["accuracy"]["custom"]["total"] == 1
    assert report_of(sqlite)["pairs"]["only_candidate"] == 0
    take_in(sqlite, ledger, lines[0])
    report = report_of(sqlite)
    assert report["pairs"]["only_candidate"] == 1
    assert report["accuracy"]["custom"]["total"] == 1
    assert report["verdict"]["labels"] == 1


def test_a_shadow_that_failed_leaves_a_single_answer(sqlite: Database, ledger: Ledger) -> None:
    failed = line("r", "vgg16", "shadow", status=502, predicted_class=None)
    report = given(sqlite, ledger, failed, line("r"))
    assert report["pairs"]["scored_by_both"] == 0
    assert report["accuracy"]["custom"] | {"estimate": 1} == report["accuracy"]["custom"]
    assert report["accuracy"]["vgg16"]["total"] == 0


def test_a_failover_takes_no_part(sqlite: Database, ledger: Ledger) -> None:
    failed = line("r", "vgg16", status=502, predicted_class=None)
    report = given(sqlite, ledger, failed, line("r", "custom"))
    assert report["traffic"]["failovers"] == 1
    assert report["traffic"]["assigned"] == {"vgg16": 1}
    assert report["labels"] | {"given": 1, "unused": 1} == report["labels"]
    assert report["verdict"]["labels"] == 0


def test_a_forced_request_takes_no_part(sqlite: Database, ledger: Ledger) -> None:
    report = given(sqlite, ledger, line("r", by="forced"))
    assert report["traffic"]["forced"] == 1
    assert report["traffic"]["assigned"] == {}
    assert report["labels"]["unused"] == 1


def test_a_used_id_counts_once_and_takes_no_part_any_more(sqlite: Database, ledger: Ledger) -> None:
    assert given(sqlite, ledger, line("r"))["accuracy"]["custom"]["total"] == 1
    take_in(sqlite, ledger, line("r"), line("r"))
    report = report_of(sqlite)
    assert report["traffic"]["assigned"] == {"custom": 1}
    assert report["traffic"]["repeated_ids"] == 1
    assert report["accuracy"]["custom"]["total"] == 0
    assert "used before" in " ".join(report["weaknesses"])


def test_requests_before_the_start_take_no_part(sqlite: Database, ledger: Ledger) -> None:
    take_in(sqlite, ledger, line("r", ts=1000))
    assert give_label(sqlite, "r", Label(LEMON, "blind")) is Given.TAKEN
    report = report_of(sqlite)
    assert report["traffic"]["assigned"] == {}
    assert report["labels"]["given"] == 0


def test_a_request_belongs_to_the_experiment_it_came_in(sqlite: Database, ledger: Ledger) -> None:
    begin(sqlite, PLAN.model_copy(update={"name": "second"}), earlier_s=60)
    take_in(sqlite, ledger, line("new"), line("r", ts=time.time() - 600))
    assert give_label(sqlite, "r", Label(LEMON, "blind")) is Given.TAKEN
    report = report_of(sqlite)
    assert report["experiment"]["name"] == "second"
    assert report["traffic"]["assigned"] == {"custom": 1}
    assert report["verdict"]["labels"] == 0


def test_labels_of_disputed_photos_feed_the_pairs_only(sqlite: Database, ledger: Ledger) -> None:
    take_in(sqlite, ledger, *(both(str(number), LEMON, LEMON) for number in range(10)))
    take_in(sqlite, ledger, both("r", APPLE, LEMON), both("other", LEMON, APPLE))
    assert give_label(sqlite, "0", Label(LEMON, "page")) is Given.UNKNOWN  # nobody disputes that one
    assert give_label(sqlite, "r", Label(LEMON, "page")) is Given.TAKEN
    report = report_of(sqlite)
    assert report["pairs"] | {"only_candidate": 1, "both": 0} == report["pairs"]
    assert report["accuracy"]["vgg16"]["total"] == 0
    # Undisputed ones stand beside it in proportion, but nobody gave those labels.
    assert report["verdict"]["labels"] == 1
    assert report["labels"]["of_disputed_photos"] == 1


def test_a_third_variant_is_in_nobodys_way(sqlite: Database) -> None:
    now = time.time()
    lines = [
        Line(now, "r", 1, "third", "drawn", "ok", APPLE, 0.1),
        Line(now, "r", 1, "custom", "shadow", "ok", LEMON, 0.1),
    ]
    with sqlite.write() as connection:
        intake.take_in(sqlite, connection, lines, Experiments.load(connection))
    assert give_label(sqlite, "r", Label(LEMON, "blind")) is Given.TAKEN
    report = report_of(sqlite)
    assert report["confusion"] == {"custom": {LEMON: {LEMON: 1}}, "third": {LEMON: {APPLE: 1}}}
    assert report["accuracy"]["custom"]["total"] == 0
    assert report["pairs"]["scored_by_both"] == 0


def test_checkpoints_are_few_and_evenly_spread(
    sqlite: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiment.record.labels.MOST_CHECKPOINTS", 20)
    take_in(sqlite, ledger, *(line(str(number), ("custom", "vgg16")[number % 2]) for number in range(90)))
    for number in range(90):
        give_label(sqlite, str(number), Label(LEMON, "blind"))
    points = report_of(sqlite)["curve"]["labels"]
    assert 10 <= len(points) <= 21
    assert points == sorted(points)
    gaps = {later - earlier for earlier, later in pairwise(points)}
    assert max(gaps) <= 8


@pytest.mark.parametrize("seconds", [0.0, 0.0005, 0.001, 0.0123, 0.5, 3.0, 99.0])
def test_a_time_lies_in_its_bucket(seconds: float) -> None:
    number = bucket(seconds)
    assert seconds <= bucket_end(number) * 1.000001
    assert number == 0 or seconds >= bucket_end(number - 1) * 0.999999


def test_very_long_times_share_the_last_bucket() -> None:
    assert bucket(1e5) == BUCKETS - 1
