"""From a ledger and labels to a verdict."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from experiment.control.decisions import note_weights
from experiment.record.database import Database
from experiment.record.experiments import Experiments
from experiment.record.labels import Label, give_label
from experiment.report.checks import check_split
from experiment.report.evidence import Counts
from experiment.report.facts import figures, make_report
from tests.classes import APPLE, LEMON
from tests.experiment.conftest import PLAN, Ledger, begin, both, line, report_of, take_in
from traffic.split import Split, make_split

NAMES = ["custom", "vgg16"]


def paired(database: Database, ledger: Ledger, cells: dict[tuple[bool, bool], int]) -> dict[str, Any]:
    """The report on photos of lemons that both scored: how many, by (custom right, vgg16 right)."""
    begin(database)
    kinds = [kind for kind, count in cells.items() for _ in range(count)]
    random.Random(1).shuffle(kinds)
    answers = {True: LEMON, False: APPLE}
    take_in(
        database,
        ledger,
        *(both(str(n), answers[c], answers[v], NAMES[n % 2]) for n, (c, v) in enumerate(kinds)),
    )
    for number in range(len(kinds)):
        give_label(database, str(number), Label(LEMON, "blind"))
    return report_of(database)


def test_the_better_one_wins(sqlite: Database, ledger: Ledger) -> None:
    report = paired(sqlite, ledger, {(True, True): 80, (False, True): 36, (True, False): 9, (False, False): 5})
    verdict = report["verdict"]
    assert verdict["headline"].startswith("vgg16 is better: +20.8 points (95 %: +")
    assert "vgg16 answered 36 photos right that custom got wrong, and custom 9 the other way round" in " ".join(
        verdict["reasons"]
    )
    assert verdict["next"]["command"] == "abtest promote vgg16"
    assert verdict["low"] > 0
    assert figures(report)["labels"] == 130
    assert report["classes"][LEMON]["worse"] is False


def test_the_worse_candidate_loses_and_the_class_is_named(sqlite: Database, ledger: Ledger) -> None:
    report = paired(sqlite, ledger, {(True, True): 80, (True, False): 40})
    assert report["verdict"]["headline"].startswith("custom is better: +33.3 points (95 %: +")
    assert report["classes"][LEMON]["worse"] is True


def test_no_labels_no_verdict(sqlite: Database, ledger: Ledger) -> None:
    report = paired(sqlite, ledger, {})
    assert report["verdict"]["outcome"] == "keep_going"
    assert report["verdict"]["probability_better"] is None
    assert report["curve"] == {"labels": [], "ts": []}


def test_two_equal_ones_keep_going(sqlite: Database, ledger: Ledger) -> None:
    report = paired(sqlite, ledger, {(True, True): 90, (False, True): 8, (True, False): 8})
    assert report["verdict"]["outcome"] == "keep_going"
    assert report["verdict"]["next"]["command"] == "abtest split --pair"


def test_equivalent_ones_are_told_apart_by_speed(sqlite: Database, ledger: Ledger) -> None:
    begin(sqlite, PLAN.model_copy(update={"margin": 0.2}))
    lines = [
        line(str(number), NAMES[number % 2], upstream_time_s=(0.01, 0.2)[number % 2])
        + line(str(number), NAMES[1 - number % 2], "shadow", upstream_time_s=(0.2, 0.01)[number % 2])
        for number in range(110)
    ]
    take_in(sqlite, ledger, *lines)
    for number in range(110):
        give_label(sqlite, str(number), Label(LEMON, "blind"))
    verdict = report_of(sqlite)["verdict"]
    assert (verdict["outcome"], verdict["variant"]) == ("equivalent", "custom")
    assert "custom is the faster" in " ".join(verdict["reasons"])


def test_assignments_off_the_split_invalidate(sqlite: Database, ledger: Ledger) -> None:
    begin(sqlite)
    take_in(sqlite, ledger, *(line(str(number), "custom" if number % 3 else "vgg16") for number in range(900)))
    report = report_of(sqlite)
    assert report["verdict"]["outcome"] == "invalid"
    assert "custom got 600 of" in report["verdict"]["reasons"][0]
    assert report["verdict"]["next"]["command"] == "abtest status"


PAIR = make_split("pair", dict.fromkeys(NAMES, 50), NAMES)


def seen(database: Database, ledger: Ledger, labelled: Callable[[int, bool], bool], by: str = "pair") -> dict[str, Any]:
    """Pairs of which people label those that ``labelled`` says, by their number and whether what they saw is right."""
    begin(database)
    answers = [(APPLE, LEMON) if n % 10 == 3 else (LEMON, LEMON) for n in range(600)]
    take_in(database, ledger, *(both(str(n), *answers[n], NAMES[n // 2 % 2], by=by) for n in range(600)))
    for n in range(600):
        if labelled(n, answers[n][n // 2 % 2] == LEMON):
            give_label(database, str(n), Label(LEMON))
    with database.read() as connection:
        known = Experiments.load(connection)
        return make_report(connection, known.latest, known, {1: PAIR}, PAIR)


def test_seen_labels_of_pairs_say_who_is_ahead(sqlite: Database, ledger: Ledger) -> None:
    report = seen(sqlite, ledger, lambda n, right: not right or n % 5 == 3)
    assert report["verdict"]["headline"].startswith("vgg16 is better")
    assert "of people who saw either variant's answer, drawn at random, decide" in report["verdict"]["counted"]


def test_labels_that_depend_on_who_answered_are_left_out(sqlite: Database, ledger: Ledger) -> None:
    report = seen(sqlite, ledger, lambda n, _: bool(n // 2 % 2))
    assert report["verdict"]["labels"] == 0
    assert report["verdict"]["outcome"] == "keep_going"
    assert "Left out: 300 labels" in report["verdict"]["counted"]
    assert "people labelled 0 % (0 of 270) where custom was shown" in " ".join(
        check["detail"] for check in report["checks"]
    )


def test_seen_labels_of_single_answers_in_turn_are_left_out(sqlite: Database, ledger: Ledger) -> None:
    begin(sqlite)
    take_in(sqlite, ledger, *(line(str(number), NAMES[number % 2]) for number in range(400)))
    for number in range(200):
        give_label(sqlite, str(number), Label(LEMON))
    verdict = report_of(sqlite)["verdict"]
    assert (verdict["labels"], verdict["outcome"]) == (0, "keep_going")
    assert "photos went to the variants in turn, not at random (abtest split --pair)" in verdict["counted"]


def test_other_weights_invalidate(sqlite: Database, ledger: Ledger) -> None:
    begin(sqlite)
    with sqlite.write() as connection:
        assert note_weights(connection, 1, {"vgg16": {"file": "a.pt", "sha256": "1" * 64}}) == []
        assert note_weights(connection, 1, {"vgg16": {"file": "b.pt", "sha256": "2" * 64}}) == ["vgg16"]
    report = report_of(sqlite)
    assert report["verdict"]["outcome"] == "invalid"
    assert "changed its weights" in report["verdict"]["reasons"][0]


COUNTED = {(1, "assigned", name, "", ""): count for name, count in (("custom", 600), ("vgg16", 420))}


@pytest.mark.parametrize(
    ("split", "more", "ok"),
    [
        (make_split("round_robin", {}, NAMES), {}, False),
        (make_split("weighted", {"custom": 60, "vgg16": 40}, NAMES), {}, True),
        (make_split("sticky", {"custom": 10, "vgg16": 90}, NAMES), {}, None),
        (make_split("weighted", {"custom": 60, "vgg16": 40}, NAMES), {(0, "gap", "", "", ""): 1}, True),
        (make_split("weighted", {"custom": 90, "vgg16": 10}, NAMES), {(0, "gap", "", "", ""): 1}, False),
        (None, {}, None),
    ],
)
def test_each_kind_of_split_has_its_check(split: Split | None, more: dict[Any, int], ok: bool | None) -> None:
    found = check_split(Counts(COUNTED | more), {1: split} if split else {})
    assert [finding.ok for finding in found] == [ok]


@pytest.mark.parametrize(
    ("split", "command"),
    [
        (make_split("weighted", {"vgg16": 100}, NAMES), ""),
        (make_split("round_robin", {}, NAMES), "abtest promote vgg16"),
    ],
)
def test_who_has_all_traffic_needs_no_promotion(
    sqlite: Database, ledger: Ledger, split: Split, command: str, report_under: Callable[[Database, Split], Any]
) -> None:
    paired(sqlite, ledger, {(True, True): 80, (False, True): 36})
    assert report_under(sqlite, split)["verdict"]["next"]["command"] == command


def test_where_only_one_is_asked_a_pair_is_proposed(
    sqlite: Database, report_under: Callable[[Database, Split], Any]
) -> None:
    begin(sqlite)
    report = report_under(sqlite, make_split("weighted", {"custom": 100}, NAMES))
    assert report["verdict"]["next"]["command"] == "abtest split --pair"


def test_a_folder_that_was_replayed_is_not_proposed_again(
    sqlite: Database, ledger: Ledger, report_under: Callable[[Database, Split], Any]
) -> None:
    begin(sqlite)
    take_in(sqlite, ledger, both("a", LEMON, LEMON, by="pair"))
    assert report_under(sqlite, PAIR)["verdict"]["next"]["command"].startswith("abtest replay sample_data")
    give_label(sqlite, "a", Label(LEMON, "blind"))
    following = report_under(sqlite, PAIR)["verdict"]["next"]
    assert (following["command"], following["page"]) == ("", "/")
    assert "replay another folder" in following["why"]
