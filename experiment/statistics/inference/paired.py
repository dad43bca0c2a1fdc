"""Photos that both variants scored: the sequential McNemar test, and its extension to any difference."""

import math

import numpy as np
from scipy import special, stats

from experiment.statistics.inference.evidence import Array, Counts, Pairs, floats
from experiment.statistics.inference.people import pair_counts

__all__ = ["PRIOR", "mcnemar_log_e", "mcnemar_p", "paired_log_e"]

PRIOR = 4.0
"""The paired test mixes over P(the candidate is the right one | exactly one is right) ~ Beta(4, 4).

Simulated against Beta(10, 10) and against halves of Beta(2, 2) and Beta(20, 20), at 0.6 agreement, labels to a verdict,
median / 90 %: at 0.88 against 0.96 150 / 260, against 200 / 308 and 148 / 263; at 0.85 against 0.88 894 / 2134, against
955 / 2082 and 995 / 2153; at 0.95 against 0.96 3021 / 6629, against 3086 / 6293 and 3220 / 6700.
"""


def mcnemar_log_e(only_candidate: Counts, only_control: Counts) -> Array:
    """The sequential McNemar test: log e-value against "whoever is right alone is either variant equally often".

    Exact at every look: the Beta(4, 4)-mixture likelihood ratio of the discordant pairs against a fair coin (H.
    Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of Mathematical Statistics 1970)
    after Q. McNemar's conditioning on discordance (Psychometrika 1947). The sign of the arguments' difference gives the
    direction.

    >>> round(float(mcnemar_log_e(36, 9)), 2)
    5.71
    """
    b, c = floats(only_candidate), floats(only_control)
    return np.asarray(special.betaln(PRIOR + b, PRIOR + c) - special.betaln(PRIOR, PRIOR) + (b + c) * math.log(2))


def mcnemar_p(only_candidate: Counts, only_control: Counts) -> Array:
    """The exact two-sided McNemar p-value, valid for one look planned beforehand: to be shown, never decided on."""
    b, c = floats(only_candidate), floats(only_control)
    return np.asarray(np.minimum(1.0, 2 * stats.binom.cdf(np.minimum(b, c), b + c, 0.5)))


# Stakes 0 < s < 1, evenly spaced in log s/(1 − s), weighted so that the sum below is a trapezoid rule for the Beta
# prior of (1 ± s)/2. Validity does not rest on its accuracy: any weights that sum to at most ½ a side will do.
_STAKES = special.expit(3 - 0.15 * np.arange(88))
_WEIGHTS = stats.beta.pdf((1 + _STAKES) / 2, PRIOR, PRIOR) * _STAKES * (1 - _STAKES)
_LOG_WEIGHTS = np.log(_WEIGHTS / _WEIGHTS.sum() / 2)
_LOG_LOSS = np.log1p(-_STAKES)


def _bet_above(ups: Array, downs: Array, level: Array, m: Array) -> Array:
    """Log wealth of betting that outcomes +1 (`ups`), −1 (`downs`), 0 (`level`) have a mean above `m`.

    Stake s multiplies wealth by 1 + s·(x − m)/(1 + m) at outcome x.
    """
    gain = _STAKES / (1 + m[..., None])
    wealth = ups[..., None] * np.log1p(gain * (1 - m[..., None]))
    wealth += level[..., None] * np.log1p(-gain * m[..., None])
    wealth += downs[..., None] * _LOG_LOSS + _LOG_WEIGHTS
    top = wealth.max(axis=-1)
    return np.asarray(top + np.log(np.exp(wealth - top[..., None]).sum(axis=-1)))


def paired_log_e(pairs: Pairs, difference: Array) -> Array:
    """Log e-value of pairs against "the accuracies differ by exactly `difference`"; at 0 it is `mcnemar_log_e`.

    Exact: wealth of betting on the mean of +1, 0, −1 outcomes (I. Waudby-Smith, A. Ramdas, "Estimating means of bounded
    random variables by betting", JRSS B 2024), half of it on either side.
    """
    b, c, total = pair_counts(pairs)
    if not difference.any():
        return mcnemar_log_e(b, c)
    m = np.clip(difference, -1 + 1e-9, 1 - 1e-9)
    return np.logaddexp(_bet_above(b, c, total - b - c, m), _bet_above(c, b, total - b - c, -m))
