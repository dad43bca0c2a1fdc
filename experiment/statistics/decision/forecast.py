"""How many labels are still to come before something can be decided."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from experiment.statistics.inference.difference import centre, decisions
from experiment.statistics.inference.evidence import Arms, Array, Evidence, Pairs, Tally
from experiment.statistics.inference.people import arm_counts, pair_counts

__all__ = ["LEVEL", "LabelsNeeded", "labels_needed"]

LEVEL = 0.8
"""The probability with which a decision comes within `LabelsNeeded.high`."""

_FEWEST_LABELS = 20
_HORIZON = 1000.0
_LUCK = special.ndtri(np.linspace((1 - LEVEL) / 2, (1 + LEVEL) / 2, 33))[:, None]


@dataclass(frozen=True)
class LabelsNeeded:
    """Labels still needed for a decision: with probability `level` at most `high` (None: no end in sight).

    `likely` is how many it takes if the difference is what it seems, `low` with the most luck that `level` allows for.
    """

    low: int
    likely: int
    high: int | None
    level: float = LEVEL


def labels_needed(evidence: Evidence, alpha: float, margin: float, worth: float = 0.0) -> LabelsNeeded | None:
    """How many more labels until a decision of any kind, for one look; None if that cannot be said yet.

    Assumes that labels go on as before, in the same proportions. With t times as many labels again, the difference in
    the new ones lies around the one seen so far with √(1 + 1/t) times its standard error: what is not known of the
    truth, and the luck of new labels. Between the quantiles of this prediction that enclose `LEVEL`, 33 courses are
    followed up to t = 1000, and `high` is when the last of them has decided: whatever the truth, what comes lies
    between them with that probability (a prediction interval: G. Hahn, W. Meeker, *Statistical Intervals*, 1991). A
    difference for which a decision takes longest is mostly among them, so `high` is often far above `likely`. It also
    allows for not knowing how often labels tell the variants apart: from n such labels to within 1/√n.
    """
    labels = float(evidence.labels)
    if labels < _FEWEST_LABELS:
        return None
    _, error = centre(evidence)
    more = np.geomspace(1 / labels, _HORIZON, 120)
    shift = _LUCK * error * np.sqrt(1 + 1 / more) / 2
    decided = decisions(_continued(evidence, more, shift), alpha, margin, worth) != 0
    reached = np.where(decided.any(axis=1), labels * more[decided.argmax(axis=1)], math.inf)
    unsure = 1 + 1 / math.sqrt(max(_telling(evidence), 1))
    likely, high = float(reached[len(_LUCK) // 2]), float(reached.max()) * unsure
    if math.isinf(likely):
        return None
    return LabelsNeeded(math.ceil(reached.min()), math.ceil(likely), None if math.isinf(high) else math.ceil(high))


def _telling(evidence: Evidence) -> float:
    """Labels that tell something: pairs with one right answer, and of each arm's answers the rarer kind."""
    b, c, _ = pair_counts(evidence.all_pairs)
    counts = [arm_counts(arm) for arm in evidence.all_arms]
    return float(b + c + sum(min(k0, n0 - k0) + min(k1, n1 - k1) for k0, n0, k1, n1 in counts))


def _continued(evidence: Evidence, growth: Array, shift: Array) -> Evidence:
    """What the evidence counts for, plus `growth` times as much again at rates shifted apart by twice `shift`."""

    def pairs(seen: Pairs) -> Pairs:
        b, c, total = pair_counts(seen)
        more_b, more_c = np.maximum(b + shift * total, 0), np.maximum(c - shift * total, 0)
        return Pairs(b + growth * more_b, c + growth * more_c, (total - b - c) * (1 + growth))

    def arms(seen: Arms) -> Arms:
        k0, n0, k1, n1 = arm_counts(seen)
        more_0, more_1 = np.clip(k0 - shift * n0, 0, n0), np.clip(k1 + shift * n1, 0, n1)
        control = Tally(k0 + growth * more_0, n0 * (1 + growth))
        return Arms(control, Tally(k1 + growth * more_1, n1 * (1 + growth)))

    return Evidence(
        pairs(evidence.pairs),
        tuple(arms(arm) for arm in evidence.arms),
        pairs(evidence.seen_pairs),
        tuple(arms(arm) for arm in evidence.seen_arms),
    )
