"""Is the comparison fair? Turns and draws against the split, and labels against the answers they were given to."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from experiment.statistics.checks import messages

__all__ = ["PairChecks", "RatioCheck", "check_draws", "check_labels", "check_pair_labels", "check_turns"]

TOLERATED = 0.005
"""The share of turns that a variant may be ahead, beyond what is exact: loads of the configuration nobody counted."""

_RATIO_ALPHA = 0.001
_RATIO_PRIOR = 100.0


@dataclass(frozen=True)
class RatioCheck:
    """Whether counts per variant are what the split makes them; `reason` says what is wrong, empty if nothing is.

    `log_e` decides; `p_value` is Pearson's χ², valid for a single look. Both are None where nothing is random.
    """

    reason: str
    log_e: float | None = None
    p_value: float | None = None

    @property
    def ok(self) -> bool:
        return not self.reason


def check_turns(
    counts: Mapping[str, int] | Mapping[str, Mapping[str, int]],
    weights: Mapping[str, float],
    unseen: int = 0,
    loads: int | Mapping[str, int] = 1,
) -> RatioCheck:
    """Assignments of one epoch under round robin or smooth weighted round robin, which are exact at each gateway.

    `counts` by gateway and variant, or by variant where there is one gateway; `loads` by gateway, or the same for all.
    All nginx workers draw turns from one shared-memory zone under a lock, so how many there are does not matter. After
    t turns no variant is a full turn ahead of its share t·w/W: its `current_weight`, t·w − n·W, stays above −W, for the
    one chosen has the greatest of weights that sum to W > 0. Each load of the configuration (`loads`: starts and
    reloads within the epoch) begins a zone of its own, and adds less than one turn. `unseen` turns were taken but are
    not counted: requests in flight, lines lost with a killed worker, with three or more variants one turn a failover.
    They may all belong to one variant and one gateway. So n < (Σn + unseen)·w/W + loads for every variant; how far one
    may fall behind follows, since it lacks what others have too much. Half a percent of the turns is tolerated beyond
    that: reloads that nobody counted put turns off by one each, and no photo of one variant is easier for it.

    A split by hash or at random needs `check_draws`.

    >>> check_turns({"a": {"custom": 50, "vgg16": 51}, "b": {"custom": 7, "vgg16": 6}}, {"custom": 1, "vgg16": 1}).ok
    True
    """
    by_gateway: dict[str, dict[str, int]] = {}
    for name, count in counts.items():
        if isinstance(count, Mapping):
            by_gateway[name] = dict(count)
        else:
            by_gateway.setdefault("", {})[name] = count
    whole, ahead = sum(weights.values()), []
    for gateway, seen in by_gateway.items():
        turns = sum(seen.values()) + unseen
        begun = loads if isinstance(loads, int) else loads.get(gateway, 1)
        for name, count in seen.items():
            due = turns * weights.get(name, 0) / whole
            if count > 0 and count >= due + begun + (TOLERATED * turns if due else 0):
                ahead.append(messages.too_many_turns(name, count, turns, due, gateway))
    return RatioCheck("; ".join(ahead))


def check_draws(
    counts: Mapping[str, int], weights: Mapping[str, float], what: str = "requests", alpha: float = _RATIO_ALPHA
) -> RatioCheck:
    """Counts per variant against a random split, for any number of variants and of looks.

    M. Lindon, A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022: the Dirichlet mixture of
    multinomials, here centred on the split with a total weight of 100 (it looks for shares off by some 5 points). What
    is counted must be what is drawn: under a sticky split `what="people"`, each counted once.
    """
    names = [name for name in weights if weights[name] > 0]
    stray = [name for name, count in counts.items() if count and name not in names]
    if stray:
        return RatioCheck(messages.not_in_the_split(stray, what))
    seen = np.array([counts.get(name, 0) for name in names], dtype=np.float64)
    share = np.array([weights[name] for name in names], dtype=np.float64)
    share /= share.sum()
    prior, total = _RATIO_PRIOR * share, float(seen.sum())
    log_ratio = special.gammaln(prior + seen) - special.gammaln(prior) - seen * np.log(share)
    log_e_value = float(log_ratio.sum() + special.gammaln(_RATIO_PRIOR) - special.gammaln(_RATIO_PRIOR + total))
    p_value = float(stats.chisquare(seen, share * total).pvalue) if total and len(names) > 1 else 1.0
    if log_e_value < -math.log(alpha):
        return RatioCheck("", log_e_value, p_value)
    table = [(name, int(count), float(due)) for name, count, due in zip(names, seen, share, strict=True)]
    return RatioCheck(messages.off_the_split(what, table, log_e_value, 1 / alpha), log_e_value, p_value)


def check_labels(labels: Mapping[str, int], assigned: Mapping[str, int], alpha: float = _RATIO_ALPHA) -> RatioCheck:
    """Whether answers of each variant are labelled equally often, given the answers that could have been.

    `check_draws` with the answers as the split: each label that arrives should fall on a variant in proportion,
    whatever the rate of labels does over time (Lindon and Malek's comparison of counting processes). Labels are drawn
    from the n answers without replacement, which only helps: for a mixture centred on the split, expected growth after
    k labels is 1 − Σ(kᵢ − k·wᵢ)² / ((n − k)(100 + k)·wᵢ) ≤ 1. Proportions must stay put: one epoch a call.
    """
    return check_draws(labels, assigned, "labels", alpha)


@dataclass(frozen=True)
class PairChecks:
    """How people label pairs shown 50 : 50.

    `shown` fails where labels depend on which variant answered: then seen labels may not decide. `disputed` fails where
    disputed pairs are labelled more or less often than others, as they are by people who mind wrong answers: it bends
    no decision, but accuracies among seen labels are not those of the traffic.
    """

    shown: RatioCheck
    disputed: RatioCheck


def check_pair_labels(
    labelled: Mapping[tuple[str, bool], int], answered: Mapping[tuple[str, bool], int], alpha: float = _RATIO_ALPHA
) -> PairChecks:
    """Labelled and all pairs of one epoch, by the variant whose answer was shown and whether the two disagree.

    Whoever labels by what is right labels differently what the better variant answers, so that says nothing. But where
    both say the same, it makes no difference to anybody who said it: those must be labelled equally often. Both checks
    are `check_labels`, and hold at every look; a rate's α is not shared between them.
    """
    agreed, given = ({shown: n for (shown, apart), n in of.items() if not apart} for of in (answered, labelled))
    shown = check_labels({name: given.get(name, 0) for name in agreed}, agreed, alpha)
    names = {True: "disputed", False: "undisputed"}

    def by_dispute(of: Mapping[tuple[str, bool], int]) -> dict[str, int]:
        return {name: sum(n for (_, apart), n in of.items() if apart is kind) for kind, name in names.items()}

    labels, pairs = by_dispute(labelled), by_dispute(answered)
    disputed = check_labels(labels, pairs, alpha)
    return PairChecks(
        RatioCheck(shown.reason and messages.labelled_by_variant(given, agreed), shown.log_e, shown.p_value),
        RatioCheck(disputed.reason and messages.labelled_by_dispute(labels, pairs), disputed.log_e, disputed.p_value),
    )
