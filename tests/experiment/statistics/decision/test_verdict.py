"""The verdict and its words."""

import re
from itertools import pairwise

import numpy as np
import pytest

from experiment.statistics import (
    Arms,
    Comparison,
    Evidence,
    LabelsNeeded,
    LeftOut,
    Outcome,
    Pairs,
    Tally,
    check_messages,
    messages,
    verdict,
)
from tests.experiment.statistics.draws import NEEDED, draw_pairs

COMPARISON = Comparison("custom", "vgg16")


def test_verdict_better() -> None:
    found = verdict(COMPARISON, Evidence(Pairs(36, 9, 255)))
    assert (found.outcome, found.variant, found.labels) == (Outcome.BETTER, "vgg16", 300)
    assert found.reasons == (
        "vgg16 answered 36 photos right that custom got wrong, and custom 9 the other way round: "
        "e-value 597, 20 needed",
    )
    assert 0 < found.low < found.estimate < found.high
    assert found.estimate == pytest.approx(0.09)


def test_verdict_may_favour_the_control() -> None:
    found = verdict(COMPARISON, Evidence(Pairs(1, 30, 100), (Arms(Tally(90, 100), Tally(80, 100)),)))
    assert (found.outcome, found.variant) == (Outcome.BETTER, "custom")
    assert found.reasons[0].startswith(
        "custom answered 30 photos right that vgg16 got wrong, and vgg16 1 the other way round; "
        "of photos that one of them saw, custom answered 90 of 100 right, and vgg16 80 of 100: e-value"
    )


def test_verdict_equivalent_keeps_the_faster() -> None:
    alike = Evidence(Pairs(100, 100, 20_000))
    unknown, slower, faster = (verdict(COMPARISON, alike, seconds=s) for s in (None, (0.012, 0.035), (0.035, 0.012)))
    assert [found.outcome for found in (unknown, slower, faster)] == [Outcome.EQUIVALENT] * 3
    assert [found.variant for found in (unknown, slower, faster)] == ["custom", "custom", "vgg16"]
    assert unknown.reasons == ("vgg16's accuracy less custom's lies between −0.2 and +0.2 points, within ±1",)
    assert slower.reasons[0].endswith(", and custom is the faster (12 ms against 35 ms)")


def test_verdict_keep_going() -> None:
    nothing = verdict(COMPARISON, Evidence())
    assert (nothing.outcome, nothing.variant, nothing.reasons) == (
        Outcome.KEEP_GOING,
        None,
        ("0 labels, 100 at the least",),
    )
    few = verdict(COMPARISON, Evidence(Pairs(30, 0, 69)))
    assert (few.outcome, few.log_e >= NEEDED) == (Outcome.KEEP_GOING, True)
    undecided = verdict(COMPARISON, Evidence(Pairs(40, 30, 900)))
    assert isinstance(undecided.labels_needed, LabelsNeeded)
    assert re.search(
        r"e-value 0\.6, 20 needed; about [\d,]+ more labels, if the difference is what it seems; "
        r"with 80 % probability at most [\d,]+$",
        undecided.reasons[0],
    )


@pytest.mark.parametrize(
    ("pairs", "outlook"),
    [
        (Pairs(24, 17, 282), r"more labels, if the difference is what it seems$"),
        (Pairs(1, 1, 300), r"^vgg16 answered 1 photo right.*cannot be said yet$"),
    ],
)
def test_verdict_says_how_much_it_knows_of_the_future(pairs: Pairs, outlook: str) -> None:
    found = verdict(Comparison("custom", "vgg16", margin=0), Evidence(pairs))
    assert found.outcome is Outcome.KEEP_GOING
    assert re.search(outlook, found.reasons[0])


def test_verdict_invalid() -> None:
    found = verdict(COMPARISON, Evidence(Pairs(36, 9, 255)), ["the split is off", "so are the labels"])
    assert (found.outcome, found.variant) == (Outcome.INVALID, None)
    assert found.reasons == ("the split is off", "so are the labels")
    torn = verdict(COMPARISON, Evidence(Pairs(50, 5, 400), (Arms(Tally(950, 1000), Tally(810, 1000)),)))
    assert torn.outcome is Outcome.INVALID
    assert torn.reasons[0].startswith("paired and unpaired labels contradict each other: ")


def test_verdict_of_very_many_labels() -> None:
    found = verdict(COMPARISON, Evidence(Pairs(10**6, 9 * 10**5, 10**5)))
    assert found.outcome is Outcome.BETTER
    assert found.reasons[0].endswith("e-value above a million, 20 needed")


@pytest.mark.parametrize("numbers", [{"alpha": 0}, {"alpha": 1}, {"margin": -0.1}, {"margin": 1}])
def test_comparison_refuses_impossible_numbers(numbers: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must lie"):
        Comparison("custom", "vgg16", **numbers)  # type: ignore[arg-type]


def test_a_verdict_once_due_comes_whatever_the_order_of_looks() -> None:
    pairs = draw_pairs(np.random.default_rng(18), (0.1, 0.02), 1, 600)
    found = [
        verdict(
            COMPARISON,
            Evidence(
                Pairs(*(np.asarray(n)[0, look] for n in (pairs.only_candidate, pairs.only_control, pairs.agreed)))
            ),
        )
        for look in range(99, 600, 100)
    ]
    assert found[-1].variant == "vgg16"
    assert all(before.labels < after.labels for before, after in pairwise(found))


def test_a_candidate_must_be_worth_its_price() -> None:
    plan = Comparison("custom", "vgg16", worth=0.02)
    enough = verdict(plan, Evidence(Pairs(300, 60, 2000)))
    assert (enough.outcome, enough.variant) == (Outcome.BETTER, "vgg16")
    assert enough.low > 0.02
    little = verdict(plan, Evidence(Pairs(200, 100, 20_000)))
    assert (little.outcome, little.variant, little.ahead) == (Outcome.EQUIVALENT, "custom", 1)
    dear = verdict(Comparison("custom", "vgg16", worth=0.1), Evidence(Pairs(200, 100, 4000)))
    assert (dear.outcome, dear.variant, dear.ahead) == (Outcome.NOT_WORTH, "custom", 1)
    assert dear.reasons[0].startswith(
        "vgg16 is better than custom, but not by the 10 points that it must gain to be worth its price: +2.3 points"
    )
    no_gain = verdict(Comparison("custom", "vgg16", worth=0.1), Evidence(Pairs(100, 100, 1000)))
    assert no_gain.outcome is Outcome.NOT_WORTH
    assert no_gain.reasons[0].startswith("vgg16 does not gain the 10 points")
    with pytest.raises(ValueError, match="worth"):
        Comparison("custom", "vgg16", worth=1)


def test_a_candidate_ahead_by_nobody_knows_how_much() -> None:
    plan = Comparison("custom", "vgg16", worth=0.02)
    blind, seen = verdict(plan, Evidence(Pairs(40, 10, 950))), verdict(plan, Evidence(seen_pairs=Pairs(400, 100, 950)))
    assert [found.outcome for found in (blind, seen)] == [Outcome.KEEP_GOING] * 2
    assert blind.reasons[1] == "vgg16 is better; whether by the 2 points that it must gain is open"
    assert seen.reasons[1].endswith("only labels of people who saw no answer can tell")


def test_the_headline_says_by_how_much() -> None:
    ours = verdict(COMPARISON, Evidence(Pairs(24, 4, 122)))
    assert re.fullmatch(r"\+13\.3 points \(95 %: \+\d\.\d to \+2\d\.\d\)", ours.gain)
    headline = messages.headline(ours.outcome, ours.variant, ours.gain)
    assert headline.startswith("vgg16 is better: +13.3 points (95 %: ")
    theirs = verdict(COMPARISON, Evidence(Pairs(4, 24, 122)))
    assert theirs.gain == ours.gain
    assert messages.headline(theirs.outcome, theirs.variant, theirs.gain, latched="vgg16 failed").startswith(
        "Guardrail: vgg16 failed. custom is better: "
    )


def test_how_far_labels_of_people_who_saw_an_answer_say_is_said_of_those_labels_only() -> None:
    found = verdict(COMPARISON, Evidence(seen_pairs=Pairs(36, 9, 255)))
    assert (found.outcome, found.variant) == (Outcome.BETTER, "vgg16")
    assert found.gain.endswith(") among labelled photos")
    assert messages.points(-0.0001) == "+0.0"


def test_no_words_contradict_the_verdict_where_the_split_changed() -> None:
    arms = (Arms(Tally(3240, 3600), Tally(372, 400)), Arms(Tally(80, 400), Tally(2360, 3600)))
    found = verdict(COMPARISON, Evidence(arms=arms))
    assert (found.outcome, found.variant) == (Outcome.BETTER, "vgg16")
    said = re.search(
        r"^vgg16 answered ([\d.]+) % right, and custom ([\d.]+) %, compared epoch by epoch", found.reasons[0]
    )
    assert said
    assert float(said[1]) > float(said[2])
    torn = verdict(COMPARISON, Evidence(Pairs(80, 40, 300), (Arms(Tally(18, 20), Tally(17, 20)),)))
    assert torn.variant == "vgg16"
    assert "custom answered 18" not in torn.reasons[0]


def test_which_labels_decided_is_said() -> None:
    out = (LeftOut("they came late", 7), LeftOut("odd", 0))
    assert verdict(COMPARISON, Evidence(Pairs(3, 1, 6), seen_pairs=Pairs(1), left_out=out)).counted == (
        "10 labels of people who had seen no answer decide; 1 label of people who saw either variant's answer, drawn "
        "at random, only which variant is ahead. Left out: 7 labels, since they came late."
    )
    only_seen = verdict(COMPARISON, Evidence(seen_pairs=Pairs(1, 2))).counted
    assert only_seen.endswith(", drawn at random, decide which variant is ahead, not how far.")
    assert verdict(COMPARISON, Evidence()).counted == "No label decides yet."


@pytest.mark.parametrize(
    ("seconds", "memory", "said"),
    [
        (
            (0.0091, 0.000325),
            (2e9, 1e9),
            "At 28 × the time of an answer (median 9.1 against 0.3 ms) and 2 × the memory",
        ),
        ((0.001, 0.028), None, "At 1/28 the time of an answer (median 1.0 against 28 ms)"),
        ((0.02, 0.04), None, "At 0.5 × the time of an answer (median 20 against 40 ms)"),
        (None, (3e9, 2e9), "At 1.5 × the memory"),
        (None, None, ""),
    ],
)
def test_what_it_costs(seconds: tuple[float, float] | None, memory: tuple[float, float] | None, said: str) -> None:
    assert messages.price(seconds, memory) == said


@pytest.mark.parametrize(
    ("state", "seen", "beside", "said"),
    [
        (
            "breach",
            (30, 30),
            (0, 100),
            "vgg16 failed 30 of its last 30 requests (100 %), custom 0 of 100; "
            "more than the limit of 2 %, and that is certain",
        ),
        (
            "above",
            (3, 100),
            (0, 100),
            "vgg16 failed 3 of its last 100 requests (3 %), custom 0 of 100; "
            "more than the limit of 2 %, which is not certain to last",
        ),
        (
            "above",
            (30, 100),
            (30, 100),
            "vgg16 failed 30 of its last 100 requests (30 %), custom 30 of 100; "
            "more than the limit of 2 %, but no more than custom",
        ),
        ("ok", (1, 100), (0, 0), "vgg16 failed 1 of its last 100 requests (1 %), custom had none; the limit is 2 %"),
        (
            "too_little_traffic",
            (0, 0),
            (0, 9),
            "vgg16 failed 0 of its last 0 requests, custom 0 of 9; too few to hold against the limit of 2 %",
        ),
    ],
)
def test_a_guardrail_in_words(state: str, seen: tuple[int, int], beside: tuple[int, int], said: str) -> None:
    assert check_messages.guardrail(state, ("vgg16", *seen), ("custom", *beside), 0.02) == said
