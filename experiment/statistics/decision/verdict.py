"""What may be said now."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from experiment.statistics import messages
from experiment.statistics.decision.forecast import LabelsNeeded, labels_needed
from experiment.statistics.inference.difference import contradictory, decisions, difference, log_e
from experiment.statistics.inference.evidence import Evidence, floats

__all__ = ["Comparison", "Outcome", "Verdict", "verdict"]


@dataclass(frozen=True)
class Comparison:
    """What is compared, written down before it starts. Raises ValueError for impossible numbers.

    `worth`: the difference in accuracy that the candidate must gain to be worth its price.
    """

    control: str
    candidate: str
    alpha: float = 0.05
    margin: float = 0.01
    minimum_labels: int = 100
    worth: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError("alpha must lie between 0 and 1")
        if not 0 <= self.margin < 1:
            raise ValueError("margin must lie between 0 and 1")
        if not 0 <= self.worth < 1:
            raise ValueError("worth must lie between 0 and 1")


class Outcome(StrEnum):
    BETTER = "better"
    EQUIVALENT = "equivalent"
    NOT_WORTH = "not_worth"
    KEEP_GOING = "keep_going"
    INVALID = "invalid"


@dataclass(frozen=True)
class Verdict:
    """The outcome, the variant to keep (None while undecided or invalid), and why, in plain words.

    `needed` is the e-value that decides, `low` to `high` the confidence sequence of the difference that the outcome
    rests on. `labels` are those that people gave and that may decide, `counted` says which these are and why others did
    not. `ahead` is 1 where the candidate is proven better, −1 where the control is, else 0. `gain` says by how much
    `variant` is better, where it is (`messages.headline` takes it).
    """

    outcome: Outcome
    variant: str | None
    reasons: tuple[str, ...]
    log_e: float
    needed: float
    estimate: float
    low: float
    high: float
    labels: int
    labels_needed: LabelsNeeded | None = None
    ahead: int = 0
    gain: str = ""
    counted: str = ""


def verdict(
    comparison: Comparison,
    evidence: Evidence,
    problems: Sequence[str] = (),
    seconds: tuple[float, float] | None = None,
) -> Verdict:
    """What may be said now; at any time, as often as one likes, wrongly with probability at most α.

    `evidence` is of one look. `problems` are the reasons of failed checks: any makes the comparison invalid. `seconds`
    are typical times of control and candidate, of which the faster is kept if they are equivalent (the control, without
    them). Nothing is decided below `comparison.minimum_labels`, nor how far they are apart below as many blind ones.
    """
    alpha, margin, worth = comparison.alpha, comparison.margin, comparison.worth
    labels, least = int(evidence.labels), comparison.minimum_labels
    enough, how_far = labels >= least, int(evidence.blind.labels) >= least
    decision = int(decisions(evidence, alpha, margin if how_far else 0, worth)) if enough else 0
    if worth > 0 and decision > 0 and not how_far:
        decision = 0
    everything = difference(evidence, alpha)
    # What blind labels alone decide is shown with their interval.
    sized = decision in {2, 3} or (decision == 1 and worth > 0)
    interval = difference(evidence.blind, alpha) if sized else everything
    log_e_value, towards = float(log_e(evidence)), 1 if float(everything.estimate) >= 0 else -1
    found = Verdict(
        Outcome.KEEP_GOING,
        None,
        (messages.too_few(labels, least),),
        log_e_value,
        1 / alpha,
        float(interval.estimate),
        float(interval.low),
        float(interval.high),
        labels,
        ahead=towards if enough and log_e_value >= -math.log(alpha) else 0,
        counted=messages.which_labels(
            int(evidence.blind.labels),
            int(evidence.seen.labels),
            [(out.reason, out.labels) for out in evidence.left_out],
        ),
    )
    story = f"{_story(comparison, evidence, towards)}: {messages.held_against(log_e_value, 1 / alpha)}"
    if problems:
        return replace(found, outcome=Outcome.INVALID, reasons=tuple(problems), ahead=0)
    if contradictory(evidence, alpha):
        reason = messages.contradiction(story, bool(evidence.seen.labels > 0))
        return replace(found, outcome=Outcome.INVALID, reasons=(reason,), ahead=0)
    if decision:
        low, high = (found.low, found.high) if decision > 0 else (-found.high, -found.low)
        seen = not sized and bool(evidence.seen.labels > 0)
        gain = messages.gain(found.estimate if decision > 0 else -found.estimate, low, high, alpha, seen)
        return _decided(comparison, found, decision, (story, gain), seconds)
    return _goes_on(comparison, evidence, found, story) if enough else found


def _decided(
    comparison: Comparison,
    found: Verdict,
    decision: int,
    words: tuple[str, str],
    seconds: tuple[float, float] | None,
) -> Verdict:
    """`words`: what the labels tell, and what the better variant gains."""
    control, candidate = comparison.control, comparison.candidate
    story, gain = words
    if decision == 3:
        why = messages.not_worth(candidate, control, gain, comparison.worth, found.low > 0)
        return replace(found, outcome=Outcome.NOT_WORTH, variant=control, reasons=(why,))
    if decision == 2:
        why, quicker = messages.equivalent(candidate, control, found.low, found.high, comparison.margin), control
        if seconds is not None:
            quicker = candidate if seconds[1] < seconds[0] else control
            why += messages.faster(quicker, seconds)
        return replace(found, outcome=Outcome.EQUIVALENT, variant=quicker, reasons=(why,))
    variant = candidate if decision > 0 else control
    return replace(found, outcome=Outcome.BETTER, variant=variant, reasons=(story,), gain=gain)


def _goes_on(comparison: Comparison, evidence: Evidence, found: Verdict, story: str) -> Verdict:
    more = labels_needed(evidence, comparison.alpha, comparison.margin, comparison.worth)
    outlook = messages.outlook((more.low, more.likely, more.high, more.level) if more else None)
    reasons: tuple[str, ...] = (f"{story}; {outlook}",)
    if found.ahead > 0:
        blind = bool(evidence.blind.labels > 0)
        reasons += (messages.how_far_is_open(comparison.candidate, comparison.worth, blind),)
    return replace(found, reasons=reasons, labels_needed=more)


def _story(comparison: Comparison, evidence: Evidence, towards: int) -> str:
    """Both kinds of evidence, beginning with the variant that is ahead."""
    pairs = evidence.all_pairs
    b, c, agreed = (int(floats(n)) for n in (pairs.only_candidate, pairs.only_control, pairs.agreed))
    epochs = [
        [(int(floats(tally.right)), int(floats(tally.total))) for tally in (arm.candidate, arm.control)[::towards]]
        for arm in evidence.all_arms
    ]
    names = (comparison.candidate, comparison.control)[::towards]
    return messages.story(names, (b, c)[::towards] if b + c + agreed else None, epochs)
