"""Labels of one person are alike, so they count for less than as many from different people.

Someone who photographs one class only, or always in bad light, brings the same luck with every photo: the variance of
sums over labels is not that of independent ones, but that of sums over people. How many times greater it is, the
*design effect*, divides the counts: J. Rao, A. Scott, "A simple method for the analysis of clustered binary data",
Biometrics 1992. The variance is taken around the rate of the null hypothesis, not around the observed one. So it holds
from the first person on: with one person of 20 labels all of one kind, the 20 count as one. For sums that are as likely
to be a as −a it is the clock of V. de la Peña, "A general class of exponential inequalities for martingales and
ratios", Annals of Probability 1999, whose e-process is exact for people of any kind.
"""

import numpy as np

from experiment.statistics.inference.evidence import Arms, Array, Pairs, People, Tally, floats

__all__ = ["arm_counts", "pair_counts"]


def pair_counts(pairs: Pairs) -> tuple[Array, Array, Array]:
    """What pairs count for: only the candidate right, only the control right, and all of them."""
    b, c = floats(pairs.only_candidate), floats(pairs.only_control)
    total = b + c + floats(pairs.agreed) + floats(pairs.imputed)
    if pairs.people is None:
        return b, c, total
    effect = np.maximum(4 * pairs.people.around(0.5) / np.maximum(b + c, 1), 1)
    return b / effect, c / effect, total / effect


def arm_counts(arms: Arms) -> tuple[Array, Array, Array, Array]:
    """What the labels of both arms count for: right and all of the control's, right and all of the candidate's."""
    control, candidate = arms.control, arms.candidate
    right = floats(control.right) + floats(candidate.right)
    # One right and one wrong answer more: a perfect start is no certainty.
    pooled = (right + 1) / (floats(control.total) + floats(candidate.total) + 2)
    return *_divided(control, pooled), *_divided(candidate, pooled)


def _divided(tally: Tally, rate: Array) -> tuple[Array, Array]:
    right, total = floats(tally.right), floats(tally.total)
    if tally.people is None:
        return right, total
    effect = np.maximum(tally.people.around(rate) / np.maximum(People.apart(right, total).around(rate), 1e-9), 1)
    return right / effect, total / effect
