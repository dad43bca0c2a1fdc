"""Numbers from rounds in which every system had its turn."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Spread", "ratios", "turns"]


@dataclass(frozen=True)
class Spread:
    """The median of the rounds, and their least and greatest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))

    def __format__(self, spec: str) -> str:
        return f"{self.median:{spec}} ({self.low:{spec}} to {self.high:{spec}})"


def ratios(ours: Sequence[float], peers: Mapping[str, Sequence[float]]) -> Spread | None:
    """Our throughput over that of the round's best peer; None where no round had an answer from any peer."""
    rounds = [(mine, max(theirs)) for mine, *theirs in zip(ours, *peers.values(), strict=True)]
    found = [mine / best for mine, best in rounds if best]
    return Spread.of(found) if found else None


def turns(systems: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Who is next, and in which round: each round begins with another one, so that nobody always follows the same."""
    for number in range(rounds):
        first = number % len(systems)
        for system in [*systems[first:], *systems[:first]]:
            yield number, system
