"""Contenders side by side: the same load on each in turn, round after round, the others held still."""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.measuring.load import Load, Target, load
from benchmarks.measuring.rounds import Spread, ratios, turns
from benchmarks.measuring.servers import awake

__all__ = ["CEILING", "NGINX", "OURS", "Contender", "Round", "compare", "loaded", "summary"]

OURS = "this project"
NGINX = "this project, through nginx"
CEILING = "the engine alone"


@dataclass(frozen=True)
class Round:
    """One contender's turn. Latencies in milliseconds; ``client_cpu`` is the share of one core that the client took."""

    per_s: float
    p50_ms: float = math.nan
    p99_ms: float = math.nan
    rejected: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    client_cpu: float = 0.0

    @classmethod
    def of(cls, result: Load) -> "Round":
        return cls(
            result.per_second,
            1e3 * result.percentile_s(50),
            1e3 * result.percentile_s(99),
            result.rejected,
            result.errors,
            result.client_cpu_s / result.seconds,
        )


@dataclass(frozen=True)
class Contender:
    """``measure`` takes a photo's name, how many connections, and seconds."""

    name: str
    pids: Callable[[], list[int]]
    measure: Callable[[str, int, float], Round]


def loaded(name: str, pids: Callable[[], list[int]], target: Target, photos: Mapping[str, bytes]) -> Contender:
    """A contender that answers at ``target``."""

    def measure(photo: str, connections: int, seconds: float) -> Round:
        return Round.of(load(target, photos[photo], connections, seconds))

    return Contender(name, pids, measure)


def compare(
    contenders: Sequence[Contender], photo: str, connections: int, rounds: int, seconds: float
) -> dict[str, list[Round]]:
    """Each contender's rounds, by name."""
    by_name = {contender.name: contender for contender in contenders}
    results: dict[str, list[Round]] = {name: [] for name in by_name}
    for _, name in turns(list(by_name), rounds):
        pids = {other: contender.pids() for other, contender in by_name.items()}
        others = [pid for other, theirs in pids.items() if other != name for pid in theirs]
        with awake(pids[name], others):
            results[name].append(by_name[name].measure(photo, connections, seconds))
    return results


def summary(results: Mapping[str, Sequence[Round]]) -> dict[str, Any]:
    """Medians and spreads of what ``compare`` returns, as JSON: by system, and this project's ratios to the others."""
    rates = {name: [turn.per_s for turn in turns_] for name, turns_ in results.items()}
    peers = {name: values for name, values in rates.items() if name not in (OURS, NGINX, CEILING)}
    found: dict[str, Any] = {
        "systems": {name: _system(turns_) for name, turns_ in results.items() if name != CEILING},
    }
    if peers:
        for ours, key in ((OURS, "ratio"), (NGINX, "ratio_through_nginx")):
            if ours in rates and (ratio := ratios(rates[ours], peers)):
                found[key] = asdict(ratio)
    if CEILING in rates and (share := ratios(rates[OURS], {CEILING: rates[CEILING]})):
        found["ceiling_per_s"] = asdict(Spread.of(rates[CEILING]))
        found["share_of_ceiling"] = asdict(share)
    return found


def _system(turns_: Sequence[Round]) -> dict[str, Any]:
    errors: Counter[str] = sum((turn.errors for turn in turns_), Counter())
    return {
        "per_s": asdict(Spread.of([turn.per_s for turn in turns_])),
        "p50_ms": _median([turn.p50_ms for turn in turns_]),
        "p99_ms": _median([turn.p99_ms for turn in turns_]),
        "p99_over_p50": _median([turn.p99_ms / turn.p50_ms for turn in turns_]),
        "rejected": sum(turn.rejected for turn in turns_),
        "errors": dict(errors),
        "client_cpu": _median([turn.client_cpu for turn in turns_]),
    }


def _median(values: Sequence[float]) -> float | None:
    """None, which JSON has a word for, where a round had too few answers to tell."""
    known = [value for value in values if not math.isnan(value)]
    return round(statistics.median(known), 4) if known else None
