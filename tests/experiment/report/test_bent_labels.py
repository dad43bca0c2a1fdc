"""Labels that get there in bent ways, by the way that labels take: lines and labels into the database, verdict out.

Both variants are equally good unless said. Each way is an experiment of its own, as often as ``RUNS`` says.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from experiment.plan import Plan
from experiment.record.database import Database
from experiment.record.experiments import Experiments, take_up
from experiment.record.follower import Follower
from experiment.record.labels import Label, Source, give_label
from experiment.report.facts import make_report
from tests.classes import APPLE, LEMON
from tests.experiment.conftest import Ledger, both, line
from tests.experiment.statistics.draws import at_most
from traffic.split import Shadow, Split, make_split

RUNS = 8
NAMES = ["custom", "vgg16"]
CONTROL_SHOWN = make_split("weighted", {"custom": 100}, NAMES, Shadow("vgg16", 100))
PAIR = make_split("pair", dict.fromkeys(NAMES, 50.0), NAMES)
IN_TURN = make_split("round_robin", {}, NAMES)
SHADOWED = make_split("round_robin", {}, NAMES, Shadow("vgg16", 100))
# Only the candidate right, only the control, both, neither (and alike).
EQUAL = (0.06, 0.06, 0.8, 0.08)
WORSE = (0.045, 0.075, 0.8, 0.08)


class Seen(NamedTuple):
    """A photo and what became of it: who is right, whose answer was shown, and who says what it shows."""

    custom: bool
    vgg16: bool
    shown: str
    label: str | None = None
    source: Source = "seen"
    labeller: str | None = None
    image: str = ""


Way = Callable[[np.random.Generator], Iterable[Seen]]


def verdicts(database: Database, ledger: Ledger, split: Split, way: Way, runs: int = RUNS) -> list[dict[str, Any]]:
    """The report after each of ``runs`` experiments."""
    follower = Follower(ledger.folder, database)
    found = []
    for run in range(runs):
        with database.write() as connection:
            take_up(connection, Plan(name=str(run), control="custom", candidate="vgg16"))
        photos = list(way(np.random.default_rng(run)))
        ledger.write("".join(_lines(f"{run}-{number}", photo, split) for number, photo in enumerate(photos)))
        follower.catch_up()
        for number, photo in enumerate(photos):
            if photo.label:
                give_label(database, f"{run}-{number}", Label(photo.label, photo.source, photo.labeller))
        with database.read() as connection:
            known = Experiments.load(connection)
            found.append(make_report(connection, known.latest, known, {1: split}, split))
        time.sleep(0.002)  # requests are told apart by the millisecond
    return found


def _lines(request_id: str, photo: Seen, split: Split) -> str:
    fields = {"image_sha256": f"{photo.image:0>64}"} if photo.image else {}
    answers = {"custom": LEMON if photo.custom else APPLE, "vgg16": LEMON if photo.vgg16 else APPLE}
    if split.shadow_of(photo.shown):
        return both(request_id, answers["custom"], answers["vgg16"], photo.shown, split.drawn_by, **fields)
    return line(request_id, photo.shown, split.drawn_by, predicted_class=answers[photo.shown], **fields)


def photos(rng: np.random.Generator, kinds: Sequence[float], count: int) -> list[tuple[bool, bool]]:
    outcomes = [(False, True), (True, False), (True, True), (False, False)]
    return [outcomes[kind] for kind in rng.choice(4, count, p=kinds)]


def people(kinds: Sequence[float], pair: bool, right: float, wrong: float, confirm: float = 0, count: int = 400) -> Way:
    """People who label what they see right, and wrong, with these probabilities, and say "yes" to a wrong one."""

    def way(rng: np.random.Generator) -> Iterable[Seen]:
        for custom, vgg16 in photos(rng, kinds, count):
            shown = "vgg16" if pair and rng.random() < 0.5 else "custom"
            well = vgg16 if shown == "vgg16" else custom
            given = rng.random() < (right if well else wrong)
            label = APPLE if not well and rng.random() < confirm else LEMON
            yield Seen(custom, vgg16, shown, label if given else None)

    return way


def preferred(reports: list[dict[str, Any]], *variants: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Of each report, whether one of ``variants`` is said to be better."""
    said = [report["verdict"] for report in reports]
    return np.array([verdict["outcome"] == "better" and verdict["variant"] in variants for verdict in said])


@pytest.mark.parametrize(("kinds", "right", "complaint", "confirm"), [(WORSE, 0.2, 0.8, 0.0), (EQUAL, 0.4, 0.4, 0.2)])
def test_where_only_the_control_is_shown_nothing_is_said(
    sqlite: Database, ledger: Ledger, kinds: tuple[float, ...], right: float, complaint: float, confirm: float
) -> None:
    reports = verdicts(sqlite, ledger, CONTROL_SHOWN, people(kinds, False, right, complaint, confirm), runs=2)
    for report in reports:
        assert (report["verdict"]["outcome"], report["verdict"]["labels"]) == ("keep_going", 0)
        assert "since people saw an answer" in report["verdict"]["counted"]


@pytest.mark.parametrize(
    ("kinds", "bad", "right", "complaint", "confirm"),
    [
        (EQUAL, NAMES, 0.2, 0.8, 0.0),
        (WORSE, ["vgg16"], 0.2, 0.8, 0.0),
        (EQUAL, NAMES, 0.4, 0.4, 0.2),
    ],
)
def test_of_pairs_that_show_either_nobody_bends_the_verdict(
    sqlite: Database,
    ledger: Ledger,
    kinds: tuple[float, ...],
    bad: list[str],
    right: float,
    complaint: float,
    confirm: float,
) -> None:
    reports = verdicts(sqlite, ledger, PAIR, people(kinds, True, right, complaint, confirm))
    assert at_most(preferred(reports, *bad), 0.05)
    assert all(report["verdict"]["labels"] >= 80 for report in reports)


def test_photos_replayed_again_count_once(sqlite: Database, ledger: Ledger) -> None:
    def way(rng: np.random.Generator) -> Iterable[Seen]:
        folder = photos(rng, EQUAL, 200)
        mark = rng.integers(2**40)
        for _ in range(3):
            for number, (custom, vgg16) in enumerate(folder):
                shown = NAMES[rng.integers(2)]
                yield Seen(custom, vgg16, shown, LEMON, "blind", image=f"{mark + number:x}")

    reports = verdicts(sqlite, ledger, PAIR, way, runs=2)
    assert {report["verdict"]["labels"] for report in reports} == {200}
    assert {report["labels"]["again"] for report in reports} == {400}
    assert at_most(preferred(reports, *NAMES), 0.05)


def test_a_client_that_alternates_easy_and_hard_photos(sqlite: Database, ledger: Ledger) -> None:
    def way(rng: np.random.Generator) -> Iterable[Seen]:
        for number in range(400):
            well = bool(rng.random() < (0.95 if number % 2 else 0.75))
            yield Seen(well, well, NAMES[number % 2], LEMON)

    for report in verdicts(sqlite, ledger, IN_TURN, way, runs=2):
        assert (report["verdict"]["outcome"], report["verdict"]["labels"]) == ("keep_going", 0)


def test_people_unlike_each_other_with_many_photos_each(sqlite: Database, ledger: Ledger) -> None:
    def way(rng: np.random.Generator) -> Iterable[Seen]:
        for person in range(8):
            # Everybody photographs what one of the two is good at.
            strong = rng.random() < 0.5
            for custom, vgg16 in photos(rng, (0.12, 0.02, 0.8, 0.06) if strong else (0.02, 0.12, 0.8, 0.06), 30):
                yield Seen(custom, vgg16, NAMES[rng.integers(2)], LEMON, labeller=f"{person:010}")

    reports = verdicts(sqlite, ledger, PAIR, way)
    assert {report["verdict"]["labels"] for report in reports} == {160}
    assert at_most(preferred(reports, *NAMES), 0.05)


def test_a_folder_in_the_order_of_its_classes(sqlite: Database, ledger: Ledger) -> None:
    def way(rng: np.random.Generator) -> Iterable[Seen]:
        # The first class is the candidate's strength, the last the control's.
        for kinds in ((0.12, 0.0, 0.88, 0.0), EQUAL, (0.0, 0.12, 0.88, 0.0)):
            for custom, vgg16 in photos(rng, kinds, 100):
                yield Seen(custom, vgg16, NAMES[rng.integers(2)], LEMON, "blind")

    def shuffled(rng: np.random.Generator) -> Iterable[Seen]:
        # As `abtest replay` does.
        return [list(way(rng))[number] for number in rng.permutation(300)]

    assert at_most(preferred(verdicts(sqlite, ledger, PAIR, shuffled), *NAMES), 0.05)


def test_ten_labels_from_the_label_page_are_ten(sqlite: Database, ledger: Ledger) -> None:
    def way(rng: np.random.Generator) -> Iterable[Seen]:
        left = 10
        for custom, vgg16 in photos(rng, (0.1, 0.0, 0.9, 0.0), 400):
            asked = custom != vgg16 and left > 0
            left -= asked
            yield Seen(custom, vgg16, NAMES[rng.integers(2)], LEMON if asked else None, "page")

    for report in verdicts(sqlite, ledger, PAIR, way, runs=2):
        assert (report["verdict"]["outcome"], report["verdict"]["labels"]) == ("keep_going", 10)
        assert report["verdict"]["reasons"] == ["10 labels, 100 at the least"]


def test_a_shadow_under_round_robin_leaves_half_unpaired_and_bends_nothing(sqlite: Database, ledger: Ledger) -> None:
    def way(rng: np.random.Generator) -> Iterable[Seen]:
        for number, (custom, vgg16) in enumerate(photos(rng, EQUAL, 240)):
            yield Seen(custom, vgg16, NAMES[number % 2], LEMON, "blind")

    reports = verdicts(sqlite, ledger, SHADOWED, way, runs=4)
    assert at_most(preferred(reports, *NAMES), 0.05)
    assert all(report["pairs"]["scored_by_both"] == 120 for report in reports)
