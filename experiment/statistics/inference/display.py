"""What is shown beside a verdict and never decided on: accuracies, probabilities, classes.

Where labels come from several epochs, the variants are compared within each, and epochs weighed as in the test, so that
no number shown is made by a change of the split. `ahead` is the sign of the verdict (1: the candidate is better): what
would contradict it all the same is None, and is not to be shown.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from experiment.statistics.inference.difference import Interval, centre, difference, edge
from experiment.statistics.inference.evidence import Arms, Array, Evidence, Pairs, Tally, floats

__all__ = [
    "ClassComparison",
    "accuracies",
    "accuracy",
    "chance_better",
    "compare_classes",
    "probability_better",
    "probability_better_paired",
]


def accuracy(tally: Tally, alpha: float) -> Interval:
    """The accuracy of one variant, with an exact confidence sequence of level 1 − `alpha`.

    The set of p whose Beta(1, 1)-mixture likelihood ratio stays below 1/α: H. Robbins, "Statistical methods related to
    the law of the iterated logarithm", Annals of Mathematical Statistics 1970. Without labels: [0, 1].
    """
    right, total = np.broadcast_arrays(floats(tally.right), floats(tally.total))
    wrong = total - right
    mixture = special.betaln(1 + right, 1 + wrong)

    def rejects(p: Array) -> NDArray[np.bool_]:
        outcome = mixture - special.xlogy(right, p) - special.xlog1py(wrong, -p)
        return np.asarray(outcome >= -math.log(alpha))

    estimate = np.where(total > 0, right / np.maximum(total, 1e-9), 0.5)
    low = edge(np.zeros_like(estimate), estimate, rejects)
    high = edge(np.ones_like(estimate), estimate, rejects)
    return Interval(estimate, low, high)


def accuracies(arms: Sequence[Arms], alpha: float, ahead: int = 0) -> tuple[Interval, Interval] | None:
    """Accuracy of control and candidate on the same mix of epochs; `arms` are all labelled answers of each, by epoch.

    Epochs weigh n₀n₁/(n₀ + n₁), so the accuracies differ by the stratified difference, and an epoch in which only one
    was labelled says nothing. Where no epoch has both, each stands for itself. With several epochs the sequences take
    the weighted mean for that of 1/Σ(weight²/n) labels (L. Kish, *Survey Sampling*, 1965). None where the last look's
    order contradicts `ahead`.
    """
    each = [(floats(arm.control.total), floats(arm.candidate.total)) for arm in arms]
    weights = [n0 * n1 / np.maximum(n0 + n1, 1) for n0, n1 in each]
    whole = sum(weights, np.zeros(()))

    def standardised(tallies: Sequence[Tally]) -> Tally:
        mean, variance, right, total = (np.zeros(()) for _ in range(4))
        for tally, weight in zip(tallies, weights, strict=True):
            k, n = floats(tally.right), floats(tally.total)
            share = weight / np.where(whole > 0, whole, 1)
            mean = mean + share * k / np.maximum(n, 1)
            variance = variance + share**2 / np.maximum(n, 1)
            right, total = right + k, total + n
        size = np.where(whole > 0, 1 / np.where(variance > 0, variance, 1), total)
        return Tally(np.where(whole > 0, mean * size, right), size)

    control = accuracy(standardised([arm.control for arm in arms]), alpha)
    candidate = accuracy(standardised([arm.candidate for arm in arms]), alpha)
    last = float((candidate.estimate - control.estimate).flat[-1])
    return None if ahead * last < 0 else (control, candidate)


def probability_better(arms: Arms) -> float:
    """The posterior probability that the candidate is the more accurate one, from unpaired labels of one epoch.

    Independent Beta(1, 1) priors; the mean, over 4000 evenly spaced quantiles of the candidate's posterior, of the
    probability that the control's lies below: to 1.3·10⁻⁴, without randomness. Not always valid: peeking inflates it.
    """
    (k0, n0), (k1, n1) = ((floats(t.right), floats(t.total)) for t in (arms.control, arms.candidate))
    quantiles = special.betaincinv(k1 + 1, n1 - k1 + 1, (np.arange(4000) + 0.5) / 4000)
    return float(special.betainc(k0 + 1, n0 - k0 + 1, quantiles).mean())


def probability_better_paired(pairs: Pairs) -> float:
    """The same from paired labels: P(q > ½) for q ~ Beta(1 + only_candidate, 1 + only_control).

    Equal to a Dirichlet(1, 1, ·) posterior over the 2×2 table, of which only the two discordant cells matter.
    """
    return float(special.betainc(1 + floats(pairs.only_control), 1 + floats(pairs.only_candidate), 0.5))


def chance_better(evidence: Evidence, ahead: int = 0) -> float | None:
    """The posterior probability that the candidate is better, from all labels that may decide, of one look.

    Exact for pairs alone and for a single epoch alone; for several, or both kinds, the normal approximation to the
    stratified difference. None without labels, or where it would contradict `ahead`.
    """
    pairs, arms = evidence.all_pairs, evidence.all_arms
    discordant = float(floats(pairs.only_candidate) + floats(pairs.only_control))
    if not arms and not discordant:
        return None
    if not arms:
        chance = probability_better_paired(pairs)
    elif len(arms) == 1 and not discordant:
        chance = probability_better(arms[0])
    else:
        estimate, error = centre(evidence)
        chance = float(special.ndtr(estimate / error))
    return None if ahead * (chance - 0.5) < 0 else chance


@dataclass(frozen=True)
class ClassComparison:
    """One true class: both accuracies, their difference, and whether the candidate is significantly worse."""

    control: Interval
    candidate: Interval
    difference: Interval
    worse: bool


def compare_classes(
    evidence: Mapping[str, Evidence], answers: Mapping[str, Arms], alpha: float
) -> dict[str, ClassComparison]:
    """Both variants on each true class; `answers` are all labelled answers of each variant, paired or not.

    Each class gets α divided by their number (Bonferroni): with probability 1 − `alpha` no class is called worse that
    is not. The two accuracies share a class's α likewise. Raises KeyError for a class that `answers` lacks.
    """
    compared = {}
    for name, labels in evidence.items():
        each = alpha / len(evidence)
        control, candidate = accuracy(answers[name].control, each / 2), accuracy(answers[name].candidate, each / 2)
        between = difference(labels, each)
        compared[name] = ClassComparison(control, candidate, between, bool(between.high < 0))
    return compared
