"""What has been labelled, each label in one place, and apart by where it comes from.

A label is *blind* where whoever gave it had seen no answer (the label page; a folder whose labels were there before),
and *seen* where somebody looked at an answer first. Someone who saw one may label more readily when it is wrong, or
confirm it too easily. Where either variant's answer was shown equally often that favours neither, so such labels may
say **which** variant is ahead; **how far** it is ahead only blind labels say.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from experiment.statistics import messages

__all__ = [
    "Arms",
    "Array",
    "Counts",
    "Evidence",
    "LeftOut",
    "Pairs",
    "People",
    "Tally",
    "floats",
    "of_disputed",
    "why_left_out",
]

Array = NDArray[np.float64]
Counts = float | NDArray[np.floating] | NDArray[np.int64]


def floats(counts: Counts) -> Array:
    return np.asarray(counts, dtype=np.float64)


@dataclass(frozen=True)
class People:
    """Labels by person: sums over people of right², right × total and total² (`Counts`), of those labels each gave.

    A label more, from a person with `right` of `total` so far, adds 2 · right + 1 to the first if it is right, and
    2 · total + 1 to the last. Somebody unknown is a person of their own.
    """

    right_squared: Counts = 0
    right_times_total: Counts = 0
    total_squared: Counts = 0

    @classmethod
    def apart(cls, right: Counts, total: Counts) -> "People":
        """Each label from another person."""
        return cls(right, right, total)

    def around(self, rate: Counts) -> Array:
        """The sum over people of (right − rate × total)²."""
        p = floats(rate)
        return floats(self.right_squared) - 2 * p * floats(self.right_times_total) + p**2 * floats(self.total_squared)

    def __add__(self, other: "People") -> "People":
        return People(
            self.right_squared + other.right_squared,
            self.right_times_total + other.right_times_total,
            self.total_squared + other.total_squared,
        )


@dataclass(frozen=True)
class Pairs:
    """Labelled requests that both variants scored (`Counts`).

    `agreed` counts those with both right or both wrong. `imputed` are agreeing pairs beside them that nobody labelled,
    where only disputed photos were (`of_disputed`); the test of "no difference" never looks at either, the size of the
    difference at both. `people` are those behind `only_candidate` ("right") and `only_control` (None: all different).
    """

    only_candidate: Counts = 0
    only_control: Counts = 0
    agreed: Counts = 0
    imputed: Counts = 0
    people: People | None = None

    def __add__(self, other: "Pairs") -> "Pairs":
        people = None if self.people is other.people is None else self._people + other._people
        return Pairs(
            self.only_candidate + other.only_candidate,
            self.only_control + other.only_control,
            self.agreed + other.agreed,
            self.imputed + other.imputed,
            people,
        )

    @property
    def _people(self) -> People:
        return self.people or People.apart(self.only_candidate, self.only_candidate + self.only_control)


def of_disputed(labelled: Pairs, disputed: Counts, undisputed: Counts) -> Pairs:
    """Labels of disputed photos only, with undisputed ones beside them as they stand to each other in the traffic.

    `disputed` and `undisputed` are all pairs from which the labelled ones were drawn. With a share d of them disputed
    and labels drawn at random, what a stake gains on one label and the (1 − d)/d undisputed pairs beside it is in
    expectation at most 1 (by Jensen's inequality on d·log and (1 − d)·log), so a test with them errs no more often.
    """
    given = floats(labelled.only_candidate) + floats(labelled.only_control) + floats(labelled.agreed)
    beside = floats(undisputed) * given / np.maximum(floats(disputed), 1)
    return replace(labelled, imputed=floats(labelled.imputed) + beside)


@dataclass(frozen=True)
class Tally:
    """Right answers among labelled ones (`Counts`), and the people behind them (None: all different)."""

    right: Counts = 0
    total: Counts = 0
    people: People | None = None


@dataclass(frozen=True)
class Arms:
    """Labelled requests of one epoch that only one variant scored."""

    control: Tally
    candidate: Tally


@dataclass(frozen=True)
class LeftOut:
    """So many labels that may not decide, and why."""

    reason: str
    labels: int


@dataclass(frozen=True)
class Evidence:
    """All labels of an experiment: a pair if both variants scored the request, else in its arm.

    `pairs` and `arms` are blind. `seen_pairs` were shown either variant's answer equally often, `seen_arms` come from
    splits drawn at random. What fits neither stands in `left_out` (`why_left_out` says what does), is shown, and
    decides nothing. Arms are kept per epoch: pooled over epochs with different splits, a drift in how hard the photos
    are would pass for a difference between the variants (Simpson's paradox).
    """

    pairs: Pairs = Pairs()
    arms: tuple[Arms, ...] = ()
    seen_pairs: Pairs = Pairs()
    seen_arms: tuple[Arms, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def all_pairs(self) -> Pairs:
        return self.pairs + self.seen_pairs

    @property
    def all_arms(self) -> tuple[Arms, ...]:
        return self.arms + self.seen_arms

    @property
    def blind(self) -> "Evidence":
        return Evidence(self.pairs, self.arms)

    @property
    def seen(self) -> "Evidence":
        """The labels of people who saw an answer, taken at face value."""
        return Evidence(self.seen_pairs, self.seen_arms)

    @property
    def labels(self) -> Array:
        """Labels that people gave and that may decide, a pair counted once; nothing imputed."""
        pairs = self.all_pairs
        total = floats(pairs.only_candidate) + floats(pairs.only_control) + floats(pairs.agreed)
        return total + sum(floats(arm.control.total) + floats(arm.candidate.total) for arm in self.all_arms)


def why_left_out(*, blind: bool, paired: bool, evenly: bool, checked: bool = True) -> str:
    """Why labels of one kind may not decide, in words; empty where they may.

    `blind`: nobody had seen an answer. `paired`: both variants scored the request. `evenly`: which answer was shown
    was drawn at random, 50 : 50 (of pairs), or the split was (of others). Turns are not enough for either: a client
    that alternates easy and hard photos would show one variant's answers to all the hard ones. `checked`: the check of
    how often answers are labelled holds (`check_pair_labels`, `check_labels`).

    Blind labels always count; a folder's photos must be sent in random order, as `abtest replay` does. For seen ones
    the argument is symmetry: let people label with probability r what they see right and w what they see wrong. A photo
    that only the candidate gets right is labelled with (r + w)/2, one that only the control gets right with (w + r)/2,
    so each of those labelled is either's with the same probability when the variants are equally good. A wrong answer
    confirmed as right now and then swaps the two, and being wrong shrinks the difference without turning it round. With
    one variant always shown it is w against r. Not covered: labels that depend on which variant answered, as when only
    the slower one's visitors leave.
    """
    if blind:
        return ""
    if not evenly:
        return messages.ONE_SHOWN if paired else messages.IN_TURN
    return "" if checked else messages.UNLIKE_LABELLED
