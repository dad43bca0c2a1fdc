"""Both kinds of evidence together: how far the accuracies lie apart, and what may be decided from that.

Differences are accuracy of the candidate minus accuracy of the control, in [−1, 1].
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiment.statistics.inference.evidence import Array, Counts, Evidence, floats
from experiment.statistics.inference.paired import paired_log_e
from experiment.statistics.inference.people import pair_counts
from experiment.statistics.inference.unpaired import score, unpaired_log_e

__all__ = ["Interval", "centre", "contradictory", "decisions", "difference", "edge", "log_e"]


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence sequence; three arrays of one shape."""

    estimate: Array
    low: Array
    high: Array


def edge(outside: Array, inside: Array, rejects: Callable[[Array], NDArray[np.bool_]]) -> Array:
    """The outer end of a confidence set by bisection, never inside it, to 2⁻⁴⁰ of the first distance."""
    for _ in range(40):
        middle = (outside + inside) / 2
        rejected = rejects(middle)
        outside, inside = np.where(rejected, middle, outside), np.where(rejected, inside, middle)
    return outside


def log_e(evidence: Evidence, difference: Counts = 0.0) -> Array:
    """Log e-value of all labels that may decide against "the accuracies differ by exactly `difference`".

    A product of two e-processes on disjoint labels, which is one again: no share of α is set aside for pairs or arms,
    and where one kind is absent its factor is 1. Seen labels are taken at face value, which away from 0 is no promise.
    """
    m = floats(difference)
    return paired_log_e(evidence.all_pairs, m) + unpaired_log_e(evidence.all_arms, m)


def centre(evidence: Evidence) -> tuple[Array, Array]:
    """The precision-weighted estimate of the difference, and its standard error (1 where there are no labels)."""
    b, c, total = pair_counts(evidence.all_pairs)
    summed, variance, weights = score(evidence.all_arms)
    observed = (b - c) / np.maximum(total, 1e-9)
    paired = total**2 / (b + c + 1 - (b - c) * observed)
    unpaired = weights**2 / np.where(variance > 0, variance, 1)
    precision = paired + unpaired
    weighted = paired * observed + unpaired * summed / np.where(weights > 0, weights, 1)
    return weighted / np.maximum(precision, 1e-12), 1 / np.sqrt(np.maximum(precision, 1))


def difference(evidence: Evidence, alpha: float) -> Interval:
    """The difference in accuracy, with a confidence sequence of level 1 − `alpha`: all differences not rejected.

    It excludes 0 when the test does (`log_e` ≥ log 1/α, within 10⁻³). `log_e` is convex in the difference, so the set
    is an interval; where paired and unpaired labels contradict each other it is empty, and shown as a point.
    """
    estimate, _ = centre(evidence)
    needed, pairs, arms = -math.log(alpha), evidence.all_pairs, evidence.all_arms

    def rejects(m: Array) -> NDArray[np.bool_]:
        return np.asarray(paired_log_e(pairs, m) + unpaired_log_e(arms, m) >= needed)

    low = edge(np.full_like(estimate, -1), estimate, rejects)
    high = edge(np.full_like(estimate, 1), estimate, rejects)
    return Interval(estimate, low, high)


def decisions(evidence: Evidence, alpha: float, margin: float, worth: float = 0.0) -> NDArray[np.int8]:
    """At each look: 1 the candidate is better, −1 the control is, 2 practically equivalent, 3 not worth it, 0 none yet.

    Equivalent means that the difference lies within ±`margin`, also where it is not 0: a margin says which differences
    do not matter. With `worth` above 0 the candidate is better only by at least that, and not worth it where it gains
    less. Who is ahead all labels say; how far, blind ones alone.

    Each half of the mixture bets on one side of the truth and errs with probability at most α/2, and claims on one side
    that rest on the same labels are nested, so α covers all of them together.
    """
    needed, blind = -math.log(alpha), evidence.blind
    estimate, size = centre(evidence)[0], centre(blind)[0]
    found = np.where(log_e(evidence) >= needed, np.sign(estimate), 0)
    if worth > 0:
        gain = np.where(log_e(blind, worth) >= needed, np.where(size > worth, 1, 3), 0)
        found = np.where(found < 0, -1, gain)
    if margin > 0:
        within = (log_e(blind, margin) >= needed) & (log_e(blind, -margin) >= needed) & (abs(size) < margin)
        found = np.where(within, 2, found)
    return found.astype(np.int8)


def contradictory(evidence: Evidence, alpha: float) -> bool:
    """Whether two kinds of labels exclude each other: pairs and arms every difference, or blind and seen the sign.

    `evidence` is of one look.
    """
    needed, blind, seen = -math.log(alpha), evidence.blind, evidence.seen
    if log_e(blind, centre(blind)[0]) >= needed:
        return True
    certain = all(log_e(part) >= needed for part in (blind, seen))
    return certain and bool(np.sign(centre(blind)[0]) != np.sign(centre(seen)[0]))
