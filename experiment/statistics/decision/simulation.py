"""How long an experiment will take, and how often it errs, before it is begun."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiment.statistics import messages
from experiment.statistics.inference.difference import decisions
from experiment.statistics.inference.evidence import Arms, Evidence, Pairs, Tally

__all__ = ["Scenario", "Simulation", "simulate"]

_AT_ONCE = 20


@dataclass(frozen=True)
class Scenario:
    """What is supposed of the variants, the traffic and the people who label.

    `agreement` is that beyond chance: 0 if the variants err independently, 1 if the better one is right wherever the
    other is (Cohen's κ as a share of the greatest κ that the accuracies allow). Of all labelled requests `shadow_share`
    were scored by both variants, and of the others `candidate_share` by the candidate alone. Raises ValueError where a
    share, rate or accuracy lies outside [0, 1], or there is no traffic.
    """

    control_accuracy: float
    candidate_accuracy: float
    agreement: float = 0.5
    requests_per_day: float = 1000.0
    label_rate: float = 0.1
    shadow_share: float = 0.0
    candidate_share: float = 0.5
    alpha: float = 0.05
    margin: float = 0.01
    minimum_labels: int = 100
    worth: float = 0.0

    def __post_init__(self) -> None:
        accuracies = self.control_accuracy, self.candidate_accuracy
        shares = self.agreement, self.shadow_share, self.candidate_share, self.label_rate
        if not all(0 <= number <= 1 for number in accuracies + shares):
            raise ValueError("accuracies, shares and rates must lie in [0, 1]")
        if not self.requests_per_day * self.label_rate > 0:
            raise ValueError("without requests or labels there is no verdict")

    def outcomes(self) -> NDArray[np.float64]:
        """What a label says, as probabilities of shape (7,): of a pair, only the candidate right, only the control
        right, both alike; of a single answer, control right, wrong, candidate right, wrong.
        """
        p0, p1 = self.control_accuracy, self.candidate_accuracy
        both = p0 * p1 + self.agreement * (min(p0, p1) - p0 * p1)
        pair = np.array([p1 - both, p0 - both, 1 - p0 - p1 + 2 * both]) * self.shadow_share
        control = np.array([p0, 1 - p0]) * (1 - self.shadow_share) * (1 - self.candidate_share)
        candidate = np.array([p1, 1 - p1]) * (1 - self.shadow_share) * self.candidate_share
        return np.asarray(np.maximum(np.concatenate([pair, control, candidate]), 0))


@dataclass(frozen=True)
class Simulation:
    """Shares of the replications by verdict, and when it came: 10, 50, 90 % quantiles.

    A quantile is infinite where so many had no verdict within `horizon` labels; `sentences` say it in words. `wrong`:
    the worse variant, or either of two equals, called better, or better by `worth` when it is not; not worth it when it
    is; or equivalent at a difference above the margin.
    """

    candidate: float
    control: float
    equivalent: float
    undecided: float
    wrong: float
    labels: tuple[float, float, float]
    days: tuple[float, float, float]
    horizon: int
    labels_a_day: float
    not_worth: float

    @property
    def sentences(self) -> tuple[str, str]:
        """When a verdict comes, in labels and in days."""
        return (
            messages.until_verdict("labels", self.labels, self.horizon),
            messages.until_verdict("days", self.days, self.horizon / self.labels_a_day),
        )


def simulate(scenario: Scenario, labels: int = 5000, replications: int = 2000, seed: int = 0) -> Simulation:
    """Replays an experiment `replications` times, up to `labels` labels each (a pair counts once).

    Looks come after every label at first, then after every 2 % more: looking still more often changes times by less
    than that. The same seed gives the same answer. Raises ValueError for a horizon below the minimum of labels.
    """
    if labels < scenario.minimum_labels:
        raise ValueError("the horizon lies below the minimum of labels")
    looks = _looks(max(scenario.minimum_labels, 1), labels)
    chances, generator = scenario.outcomes(), np.random.default_rng(seed)
    parts = [
        _first_decisions(scenario, looks, chances / chances.sum(), min(_AT_ONCE, replications - done), generator)
        for done in range(0, replications, _AT_ONCE)
    ]
    verdicts, when = (np.concatenate(part) for part in zip(*parts, strict=True))
    shares = {verdict: float(np.mean(verdicts == verdict)) for verdict in (-1, 0, 1, 2, 3)}
    truth, worth = scenario.candidate_accuracy - scenario.control_accuracy, scenario.worth
    better = truth >= worth if worth else truth > 0
    right = {-1: truth < 0, 0: True, 1: better, 2: abs(truth) <= scenario.margin, 3: truth < worth}
    few, middle, many = (float(x) for x in np.quantile(when, [0.1, 0.5, 0.9], method="inverted_cdf"))
    a_day = scenario.requests_per_day * scenario.label_rate
    return Simulation(
        candidate=shares[1],
        control=shares[-1],
        equivalent=shares[2],
        undecided=shares[0],
        wrong=sum(share for verdict, share in shares.items() if not right[verdict]),
        labels=(few, middle, many),
        days=(few / a_day, middle / a_day, many / a_day),
        horizon=labels,
        labels_a_day=a_day,
        not_worth=shares[3],
    )


def _looks(first: int, last: int) -> NDArray[np.int64]:
    steps = max(2, math.ceil(math.log(last / first) / math.log(1.02)) + 1)
    return np.unique(np.rint(np.geomspace(first, last, steps)).astype(np.int64))


def _first_decisions(
    scenario: Scenario,
    looks: NDArray[np.int64],
    chances: NDArray[np.float64],
    replications: int,
    generator: np.random.Generator,
) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """The first decision of each replication (0 for none), and the labels it took (inf for none)."""
    arrived = np.broadcast_to(np.diff(looks, prepend=0), (replications, looks.size))
    counts = np.moveaxis(generator.multinomial(arrived, chances).cumsum(axis=1), -1, 0)
    pairs = Pairs(counts[0], counts[1], counts[2])
    arms = Arms(Tally(counts[3], counts[3] + counts[4]), Tally(counts[5], counts[5] + counts[6]))
    decided = decisions(Evidence(pairs, (arms,)), scenario.alpha, scenario.margin, scenario.worth)
    first = (decided != 0).argmax(axis=1)
    verdicts = np.take_along_axis(decided, first[:, None], axis=1)[:, 0]
    return verdicts, np.where(verdicts != 0, looks[first], math.inf)
