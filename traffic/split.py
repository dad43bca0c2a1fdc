"""Who gets what: the split of predictions between the variants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd, isfinite
from typing import Any, Literal, get_args

__all__ = ["Rule", "Shadow", "Split", "SplitError", "make_split", "weights"]

Rule = Literal["round_robin", "weighted", "sticky"]

_HUNDREDTHS = 100 * 100  # of a percent: the finest share nginx's split_clients knows


class SplitError(ValueError):
    """A split that cannot be; the message is a sentence for whoever asked for it."""


@dataclass(frozen=True)
class Shadow:
    """A variant that also scores ``sample`` percent of the predictions that others answer."""

    variant: str
    sample: float


@dataclass(frozen=True)
class Split:
    """One division of the traffic: ``shares`` in percent, by variant, adding up to 100.

    ``segments`` lay all users out by hash, from 0 to 100 percent, and say which stretch belongs to whom. Only a sticky
    split goes by them, but every later one keeps them, so that users come back to the variant they had.
    """

    rule: Rule
    shares: Mapping[str, float]
    shadow: Shadow | None = None
    segments: Sequence[tuple[str, float]] = ()
    epoch: int = 1

    def __str__(self) -> str:
        shares = " ".join(f"{name}={share:g}" for name, share in self.shares.items())
        text = "round robin" if self.rule == "round_robin" else f"{self.rule} {shares}"
        return text + (f", {self.shadow.sample:g} % shadowed by {self.shadow.variant}" if self.shadow else "")

    def as_json(self) -> dict[str, Any]:
        """What the state file holds."""
        return {
            "epoch": self.epoch,
            "rule": self.rule,
            "shares": dict(self.shares),
            "shadow": {"variant": self.shadow.variant, "sample": self.shadow.sample} if self.shadow else None,
            "segments": [list(segment) for segment in self.segments],
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> "Split":
        """The split that ``as_json`` wrote."""
        return cls(
            rule=state["rule"],
            shares=state["shares"],
            shadow=Shadow(**state["shadow"]) if state["shadow"] else None,
            segments=tuple((name, share) for name, share in state["segments"]),
            epoch=state["epoch"],
        )


def make_split(
    rule: Rule,
    shares: Mapping[str, float],
    variants: Sequence[str],
    shadow: Shadow | None = None,
    before: Split | None = None,
) -> Split:
    """The split to follow ``before``. A variant that ``shares`` leaves out gets nothing; round robin takes no shares.

    Raises ``SplitError`` for shares, or a shadow, that cannot be.
    """
    assert rule in get_args(Rule)
    for name in [*shares, *([shadow.variant] if shadow else [])]:
        if name not in variants:
            raise SplitError(f"There is no variant {name!r}. The variants are {', '.join(variants)}.")
    if shadow and not 0 < _hundredths(shadow.sample, "The sample") <= _HUNDREDTHS:
        raise SplitError(f"The sample must be more than 0 and at most 100 percent, not {shadow.sample:g}.")
    segments = before.segments if before else ()
    if rule == "round_robin":
        shares = {name: 100 / len(variants) for name in variants}
    else:
        total = sum(_hundredths(share, f"{name}'s share") for name, share in shares.items())
        if total != _HUNDREDTHS:
            raise SplitError(f"The shares add up to {total / 100:g} percent; they must add up to 100.")
        shares = {name: float(shares.get(name, 0)) for name in variants}
    if rule == "sticky":
        segments = _segments(shares, segments)
    return Split(rule, shares, shadow, segments, before.epoch + 1 if before else 1)


def weights(split: Split) -> dict[str, int]:
    """The smallest whole numbers in the ratio of the shares, by variant; all 1 under round robin."""
    if split.rule == "round_robin":
        return dict.fromkeys(split.shares, 1)
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
