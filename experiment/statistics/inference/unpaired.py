"""Photos that only one variant scored: the difference of two accuracies, epoch by epoch."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from experiment.statistics.inference.evidence import Arms, Array
from experiment.statistics.inference.people import arm_counts

__all__ = ["TUNED_FOR", "score", "unpaired_log_e"]

TUNED_FOR = 1000
"""Labels (both variants together) at which the boundary is tightest; a few times fewer or more cost little.

Simulated against 2000, and against halves of 500 and 5000, labels to a verdict, median / 90 %: at 0.88 against 0.96
444 / 794, against 520 / 857 and 452 / 829; at 0.85 against 0.88 4355 / 9424, against 4172 / 9290 and 4418 / 9290; at
0.95 against 0.96 12,883 / 30,787, against 12,458 / 29,278 and 13,101 / 30,275.
"""

# The precision ρ² at which the boundary is tightest after TUNED_FOR labels, split evenly, of variants that are right
# 85 % of the time, at α = 0.05: in arXiv 2103.06476 the appendix on optimising ρ, by Lambert's W.
_TIGHTEST = -float(special.lambertw(-(0.05**2) / math.e, -1).real) - 1
_RHO_SQUARED = _TIGHTEST / (TUNED_FOR / 4 * 0.85 * 0.15)


def score(arms: Sequence[Arms]) -> tuple[Array, Array, Array]:
    """Sum over epochs of (weight × observed difference), its variance, and the weights' sum.

    The weights n₀n₁/(n₀ + n₁) (N. Mantel, W. Haenszel, Journal of the National Cancer Institute 1959) depend on no
    outcome, and make each epoch's share a sum over its labels. Variances are estimated with one right and one wrong
    answer added: a perfect start is no certainty.
    """
    total, variance, weights = np.zeros(()), np.zeros(()), np.zeros(())
    for arm in arms:
        k0, n0, k1, n1 = arm_counts(arm)
        share = n1 / np.maximum(n0 + n1, 1e-9)
        weight = n0 * share
        total = total + weight * (k1 / np.maximum(n1, 1e-9) - k0 / np.maximum(n0, 1e-9))
        v0, v1 = ((k + 1) * (n - k + 1) / (n + 2) ** 2 for k, n in ((k0, n0), (k1, n1)))
        variance = variance + weight * (share * v0 + (1 - share) * v1)
        weights = weights + weight
    return total, variance, weights


def unpaired_log_e(arms: Sequence[Arms], difference: Array) -> Array:
    """Log e-value of arms against "the accuracies differ by exactly `difference`" in every epoch; 0 without labels.

    Asymptotic: the Gaussian mixture of I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy, A. Ramdas, "Time-uniform
    central limit theory and asymptotic confidence sequences", arXiv 2103.06476, Theorem 2.2, on the sum of the epochs'
    weighted differences with its own variance as clock, so that arms and epochs may be of any sizes.
    """
    total, variance, weights = score(arms)
    spread = 1 + variance * _RHO_SQUARED
    return (total - difference * weights) ** 2 * _RHO_SQUARED / (2 * spread) - np.log(spread) / 2
