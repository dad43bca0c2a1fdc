"""What the counts say: always-valid tests, intervals, checks, guardrails and the verdict.

Counts go in, facts come out: no files, no clock, no randomness. "Always valid" means that an error rate holds however
often one looks and whenever one stops. It rests on e-processes: the wealth of a bettor against the null hypothesis,
1 at the start and in expectation never more, so that it reaches 1/α with probability at most α at any time (Ville's
inequality; A. Ramdas, P. Grünwald, V. Vovk, G. Shafer, "Game-theoretic statistics and safe anytime-valid inference",
Statistical Science 2023). Wealth is kept as its logarithm.

Differences are accuracy of the candidate minus accuracy of the control, in [−1, 1]. `Counts` are numbers, or arrays of
any common shape where a whole curve over time is wanted; answers have the shape of the question.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Array = NDArray[np.float64]
Counts = float | NDArray[np.float64] | NDArray[np.int64]

PRIOR = 10.0
"""The paired test mixes over P(the candidate is the right one | exactly one is right) ~ Beta(10, 10)."""

TUNED_FOR = 2000
"""Labels (both variants together) at which the unpaired boundary is tightest; a few times fewer or more cost little."""

_RATIO_ALPHA = 0.001
_RATIO_PRIOR = 100.0
_FEWEST_LABELS = 20
_HORIZON = 1000.0


@dataclass(frozen=True)
class Pairs:
    """Labelled requests that both variants scored (`Counts`).

    `agreed` counts those with both right or both wrong. Where only disagreements get labelled, a pair that agrees needs
    no label, but must stand in proportion: agreeing pairs × labelled share of the disagreeing ones. The test of "no
    difference" never looks at `agreed`; the size of the difference does.
    """

    only_candidate: Counts = 0
    only_control: Counts = 0
    agreed: Counts = 0


@dataclass(frozen=True)
class Tally:
    """Right answers among labelled ones (`Counts`)."""

    right: Counts = 0
    total: Counts = 0


@dataclass(frozen=True)
class Arms:
    """Labelled requests of one epoch that only one variant scored."""

    control: Tally
    candidate: Tally


@dataclass(frozen=True)
class Evidence:
    """All labels of an experiment, each in one place: a pair if both variants scored the request, else its arm.

    Arms are kept per epoch: pooled over epochs with different splits, a drift in how hard the photos are would pass for
    a difference between the variants (Simpson's paradox).
    """

    pairs: Pairs = Pairs()
    arms: tuple[Arms, ...] = ()

    @property
    def labels(self) -> Array:
        """Labelled requests, a pair counted once."""
        _, _, total = _paired(self.pairs)
        return total + sum(_floats(arm.control.total) + _floats(arm.candidate.total) for arm in self.arms)


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence sequence; three arrays of one shape."""

    estimate: Array
    low: Array
    high: Array


def _floats(counts: Counts) -> Array:
    return np.asarray(counts, dtype=np.float64)


def _edge(outside: Array, inside: Array, rejects: Callable[[Array], NDArray[np.bool_]]) -> Array:
    """The outer end of a confidence set by bisection, never inside it, to 2⁻⁴⁰ of the first distance."""
    for _ in range(40):
        middle = (outside + inside) / 2
        rejected = rejects(middle)
        outside, inside = np.where(rejected, middle, outside), np.where(rejected, inside, middle)
    return outside


# Accuracy of one variant


def accuracy(tally: Tally, alpha: float) -> Interval:
    """The accuracy of one variant, with an exact confidence sequence of level 1 − `alpha`.

    The set of p whose Beta(1, 1)-mixture likelihood ratio stays below 1/α: H. Robbins, "Statistical methods related to
    the law of the iterated logarithm", Annals of Mathematical Statistics 1970. Without labels: [0, 1].
    """
    right, total = np.broadcast_arrays(_floats(tally.right), _floats(tally.total))
    wrong = total - right
    mixture = special.betaln(1 + right, 1 + wrong)

    def rejects(p: Array) -> NDArray[np.bool_]:
        outcome = mixture - special.xlogy(right, p) - special.xlog1py(wrong, -p)
        return np.asarray(outcome >= -math.log(alpha))

    estimate = np.where(total > 0, right / np.maximum(total, 1), 0.5)
    low = _edge(np.zeros_like(estimate), estimate, rejects)
    high = _edge(np.ones_like(estimate), estimate, rejects)
    return Interval(estimate, low, high)


# Paired evidence


def mcnemar_log_e(only_candidate: Counts, only_control: Counts) -> Array:
    """The sequential McNemar test: log e-value against "whoever is right alone is either variant equally often".

    Exact at every look: the Beta(10, 10)-mixture likelihood ratio of the discordant pairs against a fair coin, i.e.
    Robbins 1970 (as in `accuracy`) after Q. McNemar's conditioning on discordance (Psychometrika 1947). The sign of
    the arguments' difference gives the direction.
    """
    b, c = _floats(only_candidate), _floats(only_control)
    return np.asarray(special.betaln(PRIOR + b, PRIOR + c) - special.betaln(PRIOR, PRIOR) + (b + c) * math.log(2))


def mcnemar_p(only_candidate: Counts, only_control: Counts) -> Array:
    """The exact two-sided McNemar p-value, valid for one look planned beforehand: to be shown, never decided on."""
    b, c = _floats(only_candidate), _floats(only_control)
    return np.asarray(np.minimum(1.0, 2 * stats.binom.cdf(np.minimum(b, c), b + c, 0.5)))


# Stakes 0 < s < 1, evenly spaced in log s, weighted so that the sum below is a trapezoid rule for the Beta(10, 10)
# prior of (1 ± s)/2. Validity does not rest on its accuracy: any weights that sum to at most ½ a side will do.
_STAKES = np.exp(-0.15 * np.arange(1, 65))
_WEIGHTS = stats.beta.pdf((1 + _STAKES) / 2, PRIOR, PRIOR) * _STAKES
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


def _paired(pairs: Pairs) -> tuple[Array, Array, Array]:
    b, c, agreed = _floats(pairs.only_candidate), _floats(pairs.only_control), _floats(pairs.agreed)
    return b, c, b + c + agreed


def _paired_log_e(pairs: Pairs, difference: Array) -> Array:
    b, c, total = _paired(pairs)
    m = np.clip(difference, -1 + 1e-9, 1 - 1e-9)
    return np.logaddexp(_bet_above(b, c, total - b - c, m), _bet_above(c, b, total - b - c, -m))


# Unpaired evidence


def _unpaired(arms: Sequence[Arms]) -> tuple[Array, Array, Array]:
    """Sum over epochs of (weight × observed difference), its variance, and the weights' sum.

    The Mantel–Haenszel weights n₀n₁/(n₀ + n₁) depend on no outcome, and make each epoch's share a sum over its labels.
    Variances are estimated with one right and one wrong answer added: a perfect start is no certainty.
    """
    score, variance, weights = np.zeros(()), np.zeros(()), np.zeros(())
    for arm in arms:
        n0, n1 = _floats(arm.control.total), _floats(arm.candidate.total)
        k0, k1 = _floats(arm.control.right), _floats(arm.candidate.right)
        share = n1 / np.maximum(n0 + n1, 1)
        weight = n0 * share
        score = score + weight * (k1 / np.maximum(n1, 1) - k0 / np.maximum(n0, 1))
        v0, v1 = ((k + 1) * (n - k + 1) / (n + 2) ** 2 for k, n in ((k0, n0), (k1, n1)))
        variance = variance + weight * (share * v0 + (1 - share) * v1)
        weights = weights + weight
    return score, variance, weights


# The precision ρ² at which the boundary is tightest after TUNED_FOR labels, split evenly, of variants that are right
# 85 % of the time, at α = 0.05: in arXiv 2103.06476 the appendix on optimising ρ, by Lambert's W.
_TIGHTEST = -float(special.lambertw(-(0.05**2) / math.e, -1).real) - 1
_RHO_SQUARED = _TIGHTEST / (TUNED_FOR / 4 * 0.85 * 0.15)


def _unpaired_log_e(arms: Sequence[Arms], difference: Array) -> Array:
    score, variance, weights = _unpaired(arms)
    spread = 1 + variance * _RHO_SQUARED
    return (score - difference * weights) ** 2 * _RHO_SQUARED / (2 * spread) - np.log(spread) / 2


# Both together


def log_e(evidence: Evidence, difference: Counts = 0.0) -> Array:
    """Log e-value of all labels against "the accuracies differ by exactly `difference`".

    A product of two e-processes on disjoint labels, which is one again: no share of α is set aside for either kind, and
    where one kind is absent its factor is 1.

    Paired factor, exact: wealth of betting on the mean of +1, 0, −1 outcomes (I. Waudby-Smith, A. Ramdas, "Estimating
    means of bounded random variables by betting", JRSS B 2024), with stakes mixed so that at `difference` 0 it is
    `mcnemar_log_e` itself. Unpaired factor, asymptotic: the Gaussian mixture of I. Waudby-Smith, D. Arbour, R. Sinha,
    E. Kennedy, A. Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", arXiv 2103.06476,
    Theorem 2.2, on the sum of the epochs' weighted differences with its own variance as clock, so that arms and epochs
    may be of any sizes.
    """
    m = _floats(difference)
    b, c = evidence.pairs.only_candidate, evidence.pairs.only_control
    paired = _paired_log_e(evidence.pairs, m) if m.any() else mcnemar_log_e(b, c)
    return paired + _unpaired_log_e(evidence.arms, m)


def _centre(evidence: Evidence) -> tuple[Array, Array]:
    """The precision-weighted estimate of the difference, and its standard error (1 where there are no labels)."""
    b, c, total = _paired(evidence.pairs)
    score, variance, weights = _unpaired(evidence.arms)
    observed = (b - c) / np.maximum(total, 1)
    paired = total**2 / (b + c + 1 - (b - c) * observed)
    unpaired = weights**2 / np.where(variance > 0, variance, 1)
    precision = paired + unpaired
    estimate = (paired * observed + unpaired * score / np.where(weights > 0, weights, 1)) / np.maximum(precision, 1e-12)
    return estimate, 1 / np.sqrt(np.maximum(precision, 1))


def difference(evidence: Evidence, alpha: float) -> Interval:
    """The difference in accuracy, with a confidence sequence of level 1 − `alpha`: all differences not rejected.

    It excludes 0 when the test does (`log_e` ≥ log 1/α, within 10⁻³). `log_e` is convex in the difference, so the set
    is an interval; where paired and unpaired labels contradict each other it is empty, and shown as a point.
    """
    estimate, _ = _centre(evidence)
    needed = -math.log(alpha)

    def rejects(m: Array) -> NDArray[np.bool_]:
        return np.asarray(_paired_log_e(evidence.pairs, m) + _unpaired_log_e(evidence.arms, m) >= needed)

    low = _edge(np.full_like(estimate, -1), estimate, rejects)
    high = _edge(np.full_like(estimate, 1), estimate, rejects)
    return Interval(estimate, low, high)


def decisions(evidence: Evidence, alpha: float, margin: float) -> NDArray[np.int8]:
    """At each look: 1 the candidate is better, −1 the control is, 2 practically equivalent, 0 not decided.

    Equivalent means that the confidence sequence lies within ±`margin`, also where it excludes 0: a margin says which
    differences do not matter. Both kinds of decision are read off one confidence sequence, so α covers them together.
    """
    needed = -math.log(alpha)
    estimate, _ = _centre(evidence)
    better = log_e(evidence) >= needed
    within = (log_e(evidence, margin) >= needed) & (log_e(evidence, -margin) >= needed) & (abs(estimate) < margin)
    return np.where(within, 2, np.where(better, np.sign(estimate), 0)).astype(np.int8)


@dataclass(frozen=True)
class LabelsNeeded:
    """Labels still needed for a verdict: `likely`, and from `low` to `high` (None: no end in sight)."""

    low: int
    likely: int
    high: int | None


def labels_needed(evidence: Evidence, alpha: float, margin: float) -> LabelsNeeded | None:
    """How many more labels until a verdict (either kind), for one look; None if that cannot be said yet.

    Assumes that labels go on as before: in the same proportions, with the rates seen so far (`likely`), and with a
    difference one standard error to either side (`low`, `high`). Looks for the first point of that expected path which
    decides, up to 1000 times the labels there are.
    """
    labels = float(evidence.labels)
    if labels < _FEWEST_LABELS:
        return None
    _, error = _centre(evidence)
    more = np.concatenate([[0.0], np.geomspace(1, _HORIZON * labels, 400)])
    shift = np.array([[-0.5], [0.0], [0.5]]) * error
    path = decisions(_continued(evidence, more / labels, shift), alpha, margin)
    reached = [more[row.argmax()] if row.any() else math.inf for row in path != 0]
    if math.isinf(reached[1]):
        return None
    high = max(reached)
    return LabelsNeeded(math.ceil(min(reached)), math.ceil(reached[1]), None if math.isinf(high) else math.ceil(high))


def _continued(evidence: Evidence, growth: Array, shift: Array) -> Evidence:
    """The evidence plus `growth` times as much again, at rates shifted apart by twice `shift`."""
    b, c, total = _paired(evidence.pairs)
    pairs = Pairs(
        b + growth * np.maximum(b + shift * total, 0),
        c + growth * np.maximum(c - shift * total, 0),
        (total - b - c) * (1 + growth),
    )

    def tally(seen: Tally, by: Array) -> Tally:
        right, total = _floats(seen.right), _floats(seen.total)
        return Tally(right + growth * np.clip(right + by * total, 0, total), total * (1 + growth))

    arms = (Arms(tally(arm.control, -shift), tally(arm.candidate, shift)) for arm in evidence.arms)
    return Evidence(pairs, tuple(arms))


# Shown, never decided on


def probability_better(arms: Arms) -> float:
    """The posterior probability that the candidate is the more accurate one, from unpaired labels of one look.

    Independent Beta(1, 1) priors; the mean, over 4000 evenly spaced quantiles of the candidate's posterior, of the
    probability that the control's lies below: to 1.3·10⁻⁴, without randomness. Not always valid: peeking inflates it.
    """
    (k0, n0), (k1, n1) = ((_floats(t.right), _floats(t.total)) for t in (arms.control, arms.candidate))
    quantiles = special.betaincinv(k1 + 1, n1 - k1 + 1, (np.arange(4000) + 0.5) / 4000)
    return float(special.betainc(k0 + 1, n0 - k0 + 1, quantiles).mean())


def probability_better_paired(pairs: Pairs) -> float:
    """The same from paired labels: P(q > ½) for q ~ Beta(1 + only_candidate, 1 + only_control).

    Equal to a Dirichlet(1, 1, ·) posterior over the 2×2 table, of which only the two discordant cells matter.
    """
    return float(special.betainc(1 + _floats(pairs.only_control), 1 + _floats(pairs.only_candidate), 0.5))


# Is the comparison fair?


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


def check_turns(counts: Mapping[str, int], weights: Mapping[str, float], unseen: int = 0, loads: int = 1) -> RatioCheck:
    """Assignments of one epoch under round robin or smooth weighted round robin, which are exact.

    All nginx workers draw turns from one shared-memory zone under a lock, so how many there are does not matter. After
    t turns no variant is a full turn ahead of its share t·w/W: its `current_weight`, t·w − n·W, stays above −W, for the
    one chosen has the greatest of weights that sum to W > 0. Each load of the configuration (`loads`: starts and
    reloads within the epoch) begins a zone of its own, and adds less than one turn. `unseen` turns were taken but are
    not counted: requests in flight, lines lost with a killed worker, with three or more variants one turn a failover.
    They may all belong to one variant. So n < (Σn + unseen)·w/W + loads for every variant; how far one may fall behind
    follows, since it lacks what others have too much. Two equal variants with nothing in flight differ by at most 1.

    A split by hash or at random needs `check_draws`.
    """
    turns, whole = sum(counts.values()) + unseen, sum(weights.values())
    ahead = [
        f"{name} got {count:,} of {turns:,} turns, more than the {turns * weights.get(name, 0) / whole:,.1f} due"
        for name, count in counts.items()
        if count > 0 and count >= turns * weights.get(name, 0) / whole + loads
    ]
    return RatioCheck("; ".join(ahead))


def check_draws(
    counts: Mapping[str, int], weights: Mapping[str, float], what: str = "requests", alpha: float = _RATIO_ALPHA
) -> RatioCheck:
    """Counts per variant against a random split, for any number of variants and of looks.

    M. Lindon, A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022: the Dirichlet mixture of
    multinomials, here centred on the split with a total weight of 100 (it looks for shares off by some 5 points). What
    is counted must be what is drawn: under sticky assignment people, not requests.
    """
    names = [name for name in weights if weights[name] > 0]
    stray = [name for name, count in counts.items() if count and name not in names]
    if stray:
        return RatioCheck(f"{', '.join(stray)} got {what}, though not in the split")
    seen = np.array([counts.get(name, 0) for name in names], dtype=np.float64)
    share = np.array([weights[name] for name in names], dtype=np.float64)
    share /= share.sum()
    prior, total = _RATIO_PRIOR * share, float(seen.sum())
    log_ratio = special.gammaln(prior + seen) - special.gammaln(prior) - seen * np.log(share)
    log_e_value = float(log_ratio.sum() + special.gammaln(_RATIO_PRIOR) - special.gammaln(_RATIO_PRIOR + total))
    p_value = float(stats.chisquare(seen, share * total).pvalue) if total and len(names) > 1 else 1.0
    if log_e_value < -math.log(alpha):
        return RatioCheck("", log_e_value, p_value)
    rows = zip(names, seen, share, strict=True)
    table = ", ".join(f"{name} {count:,.0f} ({count / total:.1%}, due {due:.1%})" for name, count, due in rows)
    reason = f"{what} per variant: {table}; e-value {_e(log_e_value)}, {1 / alpha:,.0f} needed"
    return RatioCheck(reason, log_e_value, p_value)


def check_labels(labels: Mapping[str, int], assigned: Mapping[str, int], alpha: float = _RATIO_ALPHA) -> RatioCheck:
    """Whether answers of each variant are labelled equally often, given the answers that could have been.

    `check_draws` with the answers as the split: each label that arrives should fall on a variant in proportion,
    whatever the rate of labels does over time (Lindon and Malek's comparison of counting processes). Labels are drawn
    from the n answers without replacement, which only helps: for a mixture centred on the split, expected growth after
    k labels is 1 − Σ(kᵢ − k·wᵢ)² / ((n − k)(100 + k)·wᵢ) ≤ 1. Proportions must stay put: one epoch a call.
    """
    return check_draws(labels, assigned, "labels", alpha)


# Guardrails

_RISES = np.array([0.03, 0.06, 0.12, 0.25, 0.5, 0.95])


@dataclass(frozen=True)
class Guardrail:
    """`bad` of the last `total` requests of the candidate, where a share of `allowed` is put up with.

    The alarm sounds when `log_evidence` reaches `log_needed`. Too little traffic is neither pass nor breach.
    """

    state: Literal["ok", "breach", "too_little_traffic"]
    bad: int
    total: int
    allowed: float
    log_evidence: float
    log_needed: float


def guardrail(
    recent: Sequence[bool] | NDArray[np.bool_],
    control: Tally,
    limit: float,
    minimum: int = 20,
    false_alarm_every: float = 1e7,
) -> Guardrail:
    """Whether the candidate has begun to go wrong more often than `limit` and than the control.

    `recent`: the candidate's requests in a sliding window, oldest first, True where one failed, or took longer than a
    stated bound. `control`: the same over the same window, `right` being those without fault. Allowed is `limit`, or
    the control's own share where its 99 % upper bound (C. Clopper, E. Pearson, Biometrika 1934) is more: what both
    suffer from is no fault of the candidate. Raises ValueError unless 0 < `limit` < 1.

    Shiryaev–Roberts e-detector: J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric framework for sequential
    change detection", New England Journal of Statistics in Data Science 2023. The sum, over all starting points in the
    window, of the likelihood ratio since then, averaged over six rates above the allowed one. With requests no worse
    than allowed, false alarms come at most every `false_alarm_every` requests on average, and within n requests with
    probability at most n / `false_alarm_every`; the window can only make them rarer. The control's bound is a plug-in.
    """
    if not 0 < limit < 1:
        raise ValueError("limit must lie between 0 and 1")
    bad = np.asarray(recent, dtype=np.bool_)
    fine, total = float(control.right), float(control.total)
    ceiling = float(special.betaincinv(total - fine + 1, fine, 0.99)) if fine else 1.0
    allowed = min(max(limit, ceiling), 1 - 1e-9)
    at_fault = np.log1p(_RISES * (1 - allowed) / allowed)
    steps = np.where(bad[:, None], at_fault, np.log1p(-_RISES))
    since = np.cumsum(steps[::-1], axis=0)
    evidence = float(special.logsumexp(since) - math.log(len(_RISES))) if bad.size else 0.0
    needed = math.log(false_alarm_every)
    state: Literal["ok", "breach", "too_little_traffic"] = "ok"
    if evidence >= needed:
        state = "breach"
    elif min(bad.size, total) < minimum:
        state = "too_little_traffic"
    return Guardrail(state, int(bad.sum()), bad.size, allowed, evidence, needed)


# Class by class


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


# The verdict


@dataclass(frozen=True)
class Comparison:
    """What is compared, written down before it starts. Raises ValueError for impossible numbers."""

    control: str
    candidate: str
    alpha: float = 0.05
    margin: float = 0.01
    minimum_labels: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError("alpha must lie between 0 and 1")
        if not 0 <= self.margin < 1:
            raise ValueError("margin must lie between 0 and 1")


class Outcome(StrEnum):
    BETTER = "better"
    EQUIVALENT = "equivalent"
    KEEP_GOING = "keep_going"
    INVALID = "invalid"


@dataclass(frozen=True)
class Verdict:
    """The outcome, the variant to keep (None while undecided or invalid), and why, in plain words.

    `needed` is the e-value that decides, `low` to `high` the confidence sequence of the difference.
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


def verdict(
    comparison: Comparison,
    evidence: Evidence,
    problems: Sequence[str] = (),
    seconds: tuple[float, float] | None = None,
) -> Verdict:
    """What may be said now; at any time, as often as one likes, wrongly with probability at most α.

    `evidence` is of one look. `problems` are the reasons of failed checks: any makes the comparison invalid. `seconds`
    are typical times of control and candidate, of which the faster is kept if they are equivalent (the control, without
    them). Nothing is decided below `comparison.minimum_labels`.
    """
    alpha, margin = comparison.alpha, comparison.margin
    interval = difference(evidence, alpha)
    estimate, labels = float(interval.estimate), int(evidence.labels)
    log_e_value, needed = float(log_e(evidence)), 1 / alpha
    first, second = comparison.candidate, comparison.control
    if estimate < 0:
        first, second = second, first
    story = f"{_story(evidence, first, second, estimate < 0)}: e-value {_e(log_e_value)}, {needed:,.0f} needed"

    def answer(outcome: Outcome, variant: str | None, *reasons: str, more: LabelsNeeded | None = None) -> Verdict:
        low, high = float(interval.low), float(interval.high)
        return Verdict(outcome, variant, reasons, log_e_value, needed, estimate, low, high, labels, more)

    if problems:
        return answer(Outcome.INVALID, None, *problems)
    if log_e(evidence, estimate) >= math.log(needed):
        return answer(Outcome.INVALID, None, f"paired and unpaired labels contradict each other: {story}")
    decision = int(decisions(evidence, alpha, margin)) if labels >= comparison.minimum_labels else 0
    if decision == 2:
        faster, why = _faster(comparison, seconds)
        between = f"between {float(interval.low):+.1%} and {float(interval.high):+.1%}, within ±{margin:.1%}"
        gain = f"{comparison.candidate}'s accuracy less {comparison.control}'s lies {between}"
        return answer(Outcome.EQUIVALENT, faster, gain + why)
    if decision:
        return answer(Outcome.BETTER, first, story)
    if labels < comparison.minimum_labels:
        return answer(Outcome.KEEP_GOING, None, f"{labels:,} labels, {comparison.minimum_labels:,} at the least")
    more = labels_needed(evidence, alpha, margin)
    return answer(Outcome.KEEP_GOING, None, f"{story}; {_outlook(more)}", more=more)


def _faster(comparison: Comparison, seconds: tuple[float, float] | None) -> tuple[str, str]:
    if seconds is None:
        return comparison.control, ""
    name = comparison.candidate if seconds[1] < seconds[0] else comparison.control
    return name, f", and {name} is the faster ({min(seconds) * 1000:,.0f} ms against {max(seconds) * 1000:,.0f} ms)"


def _e(log_value: float) -> str:
    if log_value > math.log(1e6):
        return "above a million"
    return f"{math.exp(log_value):,.0f}" if log_value > math.log(9.5) else f"{math.exp(log_value):.1f}"


def _story(evidence: Evidence, first: str, second: str, swapped: bool) -> str:
    """Both kinds of evidence in words, beginning with the variant that is ahead."""
    b, c, pairs = (int(n) for n in _paired(evidence.pairs))
    k0, n0 = (int(sum(float(getattr(arm.control, part)) for arm in evidence.arms)) for part in ("right", "total"))
    k1, n1 = (int(sum(float(getattr(arm.candidate, part)) for arm in evidence.arms)) for part in ("right", "total"))
    if swapped:
        b, c, k0, n0, k1, n1 = c, b, k1, n1, k0, n0
    parts = []
    if pairs:
        photos = "photo" if b == 1 else "photos"
        lead = f"{first} answered {b:,} {photos} right that {second} got wrong"
        parts.append(f"{lead}, and {second} {c:,} the other way round")
    if n0 + n1:
        apart = "of photos that one of them saw, " if pairs else ""
        parts.append(f"{apart}{first} answered {k1:,} of {n1:,} right, and {second} {k0:,} of {n0:,}")
    return "; ".join(parts) or "no labels yet"


def _outlook(more: LabelsNeeded | None) -> str:
    if more is None:
        return "how many more labels it takes cannot be said yet"
    if more.high is None:
        return f"about {_about(more.likely)} more labels, if the difference is what it seems"
    return f"about {_about(more.likely)} more labels ({_about(more.low)} to {_about(more.high)})"


def _about(count: int) -> str:
    return f"{float(f'{count:.2g}'):,.0f}"
