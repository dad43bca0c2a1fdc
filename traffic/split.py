"""Who gets what: the split of predictions between the variants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd, isfinite
from typing import Any, Literal, get_args

__all__ = ["Rule", "Shadow", "Split", "SplitError", "fit", "make_split", "weights"]

Rule = Literal["round_robin", "weighted", "sticky", "pair"]

_HUNDREDTHS = 100 * 100  # of a percent: the finest share nginx's split_clients knows


class SplitError(ValueError):
    """A split that cannot be; the message is a sentence for whoever asked for it."""


@dataclass(frozen=True)
class Shadow:
    """A variant that also scores ``sample`` percent of the predictions that others answer.

    Without ``variant`` it is the other one of a pair, whichever is shown.
    """

    variant: str | None
    sample: float


@dataclass(frozen=True)
class Split:
    """One division of the traffic: ``shares`` in percent, by variant, adding up to 100.

    A ``pair`` shows either of two variants equally often, by chance, while the other scores the same photo. ``random``
    draws each request by chance instead of strictly in turn. ``segments`` lay all users out by hash, from 0 to 100
    percent, and say which stretch belongs to whom. Only a sticky split goes by them, but every later one keeps them, so
    that users come back to the variant they had.
    """

    rule: Rule
    shares: Mapping[str, float]
    shadow: Shadow | None = None
    segments: Sequence[tuple[str, float]] = ()
    random: bool = False
    epoch: int = 1

    def __str__(self) -> str:
        named = {name: share for name, share in self.shares.items() if share}
        shares = " ".join(f"{name}={share:g}" for name, share in self.shares.items())
        if self.rule == "pair":
            text = f"pair of {' and '.join(named)}"
            if self.shadow and self.shadow.sample < 100:
                text += f", both score {self.shadow.sample:g} %"
        else:
            text = "round robin" if self.rule == "round_robin" else f"{self.rule} {shares}"
            text += f", {self.shadow.sample:g} % shadowed by {self.shadow.variant}" if self.shadow else ""
        return text + (", at random" if self.random and self.rule != "pair" else "")

    def divides_as(self, other: "Split") -> bool:
        """Whether both give everyone the same; a variant without a share makes no difference."""
        mine, others = ({name: share for name, share in split.shares.items() if share} for split in (self, other))
        return (mine, self.rule, self.shadow, self.random) == (others, other.rule, other.shadow, other.random)

    @property
    def drawn_by(self) -> str:
        """What the ledger calls the way a request was assigned."""
        return "random" if self.random and self.rule != "pair" else self.rule

    def shadow_of(self, variant: str) -> str:
        """The variant that scores what ``variant`` answers, unseen; empty where there is none."""
        if self.shadow is None:
            return ""
        if self.shadow.variant is not None:
            return self.shadow.variant if self.shadow.variant != variant else ""
        pair = [name for name, share in self.shares.items() if share]
        return next(name for name in pair if name != variant) if variant in pair else ""

    def as_json(self) -> dict[str, Any]:
        """What the record holds."""
        return {
            "epoch": self.epoch,
            "rule": self.rule,
            "shares": dict(self.shares),
            "shadow": {"variant": self.shadow.variant, "sample": self.shadow.sample} if self.shadow else None,
            "segments": [list(segment) for segment in self.segments],
            "random": self.random,
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> "Split":
        """The split that ``as_json`` wrote; raises ``KeyError``, ``TypeError`` or ``ValueError`` for anything else."""
        if state["rule"] not in get_args(Rule):
            raise ValueError("no rule")
        return cls(
            rule=state["rule"],
            shares={str(name): float(share) for name, share in state["shares"].items()},
            shadow=Shadow(**state["shadow"]) if state["shadow"] else None,
            segments=tuple((name, share) for name, share in state["segments"]),
            random=state.get("random", False),
            epoch=int(state["epoch"]),
        )


def make_split(
    rule: Rule,
    shares: Mapping[str, float],
    variants: Sequence[str],
    shadow: Shadow | None = None,
    before: Split | None = None,
    *,
    random: bool = False,
) -> Split:
    """The split to follow ``before``. A variant that ``shares`` leaves out gets nothing; round robin takes no shares.

    A pair takes the two variants from ``shares``, whatever their numbers, and how much both score from ``shadow``.
    Raises ``SplitError`` for shares, or a shadow, that cannot be.
    """
    assert rule in get_args(Rule)
    # Nothing may go to a variant that is no more.
    shares = {name: share for name, share in shares.items() if share or rule == "pair" or name in variants}
    for name in [*shares, *([shadow.variant] if shadow and shadow.variant is not None else [])]:
        if name not in variants:
            raise SplitError(f"There is no variant {name!r}. The variants are {', '.join(variants)}.")
    if shadow and not 0 < _hundredths(shadow.sample, "The sample") <= _HUNDREDTHS:
        raise SplitError(f"The sample must be more than 0 and at most 100 percent, not {shadow.sample:g}.")
    if random and rule == "sticky":
        raise SplitError("A sticky split draws people, not requests: it cannot be random.")
    segments = before.segments if before else ()
    if rule == "round_robin":
        shares = {name: 100 / len(variants) for name in variants}
    elif rule == "pair":
        if len(shares) != 2:
            raise SplitError("A pair has two variants.")
        shares = {name: 50.0 if name in shares else 0.0 for name in variants}
        shadow = Shadow(None, shadow.sample if shadow else 100)
        random = True  # whoever can foresee turns can choose whose answer is shown of which photo
    else:
        total = sum(_hundredths(share, f"{name}'s share") for name, share in shares.items())
        if total != _HUNDREDTHS:
            raise SplitError(f"The shares add up to {total / 100:g} percent; they must add up to 100.")
        shares = {name: float(shares.get(name, 0)) for name in variants}
    if rule == "sticky":
        segments = _segments(shares, segments)
    return Split(rule, shares, shadow, segments, random, before.epoch + 1 if before else 1)


def fit(split: Split, variants: Sequence[str]) -> Split:
    """``split`` for a list of variants that has changed: what left gives its share to the others.

    What is new gets nothing until it is asked for. Where nothing is left of a split, all take turns. The same object
    where nothing has to change.
    """
    gone = {name: share for name, share in split.shares.items() if name not in variants}
    shadow = split.shadow
    if shadow and shadow.variant is not None and shadow.variant not in variants:
        shadow = None
    if not any(gone.values()):
        if not gone and shadow == split.shadow:
            return split
        kept = {name: share for name, share in split.shares.items() if name not in gone}
        return replace(split, shares=kept, shadow=shadow)
    left = {name: share for name, share in split.shares.items() if name in variants and share}
    if not left:
        return replace(make_split("round_robin", {}, variants), segments=(), epoch=split.epoch)
    if split.rule == "round_robin":
        return replace(split, shares={name: 100 / len(left) for name in left}, shadow=shadow)
    if split.rule == "pair":
        return replace(split, rule="weighted", shares=dict.fromkeys(left, 100.0), shadow=None)
    whole = sum(left.values())
    hundredths = {name: int(_HUNDREDTHS * share / whole) for name, share in left.items()}
    hundredths[max(left, key=lambda name: left[name])] += _HUNDREDTHS - sum(hundredths.values())
    shares = {name: number / 100 for name, number in hundredths.items()}
    segments = _segments(shares, split.segments) if split.rule == "sticky" else ()
    return replace(split, shares=shares, shadow=shadow, segments=segments)


def weights(split: Split) -> dict[str, int]:
    """The smallest whole numbers in the ratio of the shares, by variant; all 1 under round robin."""
    if split.rule == "round_robin":
        return {name: int(share > 0) for name, share in split.shares.items()}
    whole = {name: round(100 * share) for name, share in split.shares.items()}
    divisor = gcd(*whole.values())
    return {name: number // divisor for name, number in whole.items()}


def _hundredths(percent: float, what: str) -> int:
    number = round(100 * percent) if isfinite(percent) else -1
    if number < 0 or abs(number - 100 * percent) > 1e-6:
        raise SplitError(f"{what} must be a percentage of at most two decimals, not {percent:g}.")
    return number


def _segments(shares: Mapping[str, float], before: Sequence[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """``before`` changed to the new shares by moving no more users than must move."""
    due = {name: round(100 * share) for name, share in shares.items()}
    kept: list[tuple[str, int]] = []  # "" owns what nobody does
    for name, share in before or [("", 100.0)]:
        width = round(100 * share)
        stays = min(width, due.get(name, 0))
        due[name] = due.get(name, 0) - stays
        kept += [(name, stays), ("", width - stays)]
    laid: list[tuple[str, int]] = []
    for owner, width in kept:
        left = width
        for name in [owner] if owner else due:
            taken = width if owner else min(left, due[name])
            if not taken:
                continue
            if not owner:
                due[name] -= taken
                left -= taken
            if laid and laid[-1][0] == name:
                taken += laid.pop()[1]
            laid.append((name, taken))
    return tuple((name, width / 100) for name, width in laid)
