"""Labels drawn from known truths, and whether alarms come too often."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from experiment.statistics import Arms, Evidence, Pairs, Tally

ALPHA = 0.05
NEEDED = float(np.log(1 / ALPHA))


def at_most(alarms: NDArray[np.bool_] | np.bool_, alpha: float) -> bool:
    """Whether so many alarms are no proof (at one in a thousand) of a rate above alpha."""
    return bool(stats.binomtest(int(alarms.sum()), alarms.size, alpha, alternative="greater").pvalue > 1e-3)


def draw_pairs(rng: np.random.Generator, rates: Sequence[float], runs: int, labels: int) -> Pairs:
    """Running counts after every label, shape (runs, labels), at rates of (only candidate, only control) right."""
    u = rng.random((runs, labels), dtype=np.float32)
    b = np.cumsum(u < rates[0], axis=1, dtype=np.int64)
    c = np.cumsum((u >= rates[0]) & (u < sum(rates)), axis=1, dtype=np.int64)
    return Pairs(b, c, np.arange(1, labels + 1) - b - c)


def draw_arms(rng: np.random.Generator, rates: Sequence[float], share: float, runs: int, labels: int) -> Arms:
    """Running counts after every label, at accuracies of (control, candidate); the candidate gets `share` of labels."""
    candidate = rng.random((runs, labels)) < share
    right = rng.random((runs, labels)) < np.where(candidate, rates[1], rates[0])
    return Arms(
        Tally(np.cumsum(right & ~candidate, axis=1, dtype=np.int64), np.cumsum(~candidate, axis=1, dtype=np.int64)),
        Tally(np.cumsum(right & candidate, axis=1, dtype=np.int64), np.cumsum(candidate, axis=1, dtype=np.int64)),
    )


def apart(right0: int, total0: int, right1: int, total1: int) -> Evidence:
    return Evidence(arms=(Arms(Tally(right0, total0), Tally(right1, total1)),))
