"""GrowthBook's sequential test, as its package computes it: ``python growthbook.py COUNTS.npz STOPS.npy``.

Reads running counts ``k0, n0, k1, n1`` of shape (runs, looks); writes at which look each run first reaches α, or −1.
"""

import sys

import numpy as np
from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
from gbstats.models.statistics import ProportionStatistic

ALPHA = 0.05
# GrowthBook's own default.
CONFIG = SequentialConfig(alpha=ALPHA, difference_type="absolute", sequential_tuning_parameter=5000)


def stop(counts: np.ndarray) -> int:
    """The first look of one run, shape (looks, 4), that decides."""
    for look, (k0, n0, k1, n1) in enumerate(counts.tolist()):
        if min(k0, k1, n0 - k0, n1 - k1) == 0:
            continue
        test = SequentialTwoSidedTTest(ProportionStatistic(n=n0, sum=k0), ProportionStatistic(n=n1, sum=k1), CONFIG)
        if test.p_value < ALPHA:
            return look
    return -1


def main() -> None:
    given = np.load(sys.argv[1])
    counts = np.stack([given[name] for name in ("k0", "n0", "k1", "n1")], axis=-1)
    np.save(sys.argv[2], np.array([stop(run) for run in counts]))


if __name__ == "__main__":
    main()
