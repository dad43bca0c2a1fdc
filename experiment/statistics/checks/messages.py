"""The sentences of the fairness checks and the guardrails. Numbers come in, words go out."""

from collections.abc import Mapping, Sequence

from experiment.statistics.messages import held_against
from look.numbers import percent

__all__ = [
    "guardrail",
    "labelled_by_dispute",
    "labelled_by_variant",
    "not_in_the_split",
    "off_the_split",
    "too_many_turns",
]


def too_many_turns(name: str, count: int, turns: int, due: float, gateway: str = "") -> str:
    at = f" at gateway {gateway}" if gateway else ""
    return f"{name} got {count:,} of {turns:,} turns{at}, more than the {due:,.1f} due"


def not_in_the_split(names: Sequence[str], what: str) -> str:
    return f"{', '.join(names)} got {what}, though not in the split"


def off_the_split(what: str, rows: Sequence[tuple[str, int, float]], log_value: float, needed: float) -> str:
    """`rows` are names, counts, and the shares due."""
    total = sum(count for _, count, _ in rows)
    table = ", ".join(f"{name} {count:,} ({percent(count / total)}, due {percent(due)})" for name, count, due in rows)
    return f"{what} per variant: {table}; {held_against(log_value, needed)}"


def labelled_by_variant(labels: Mapping[str, int], pairs: Mapping[str, int]) -> str:
    """Labelled and all undisputed pairs, by the variant whose answer was shown."""
    shares = " and ".join(f"{_share(labels.get(name, 0), n)} where {name} was shown" for name, n in pairs.items())
    return f"of photos on which both agree people labelled {shares}: it matters to them, or to the page, who answered"


def labelled_by_dispute(labels: Mapping[str, int], pairs: Mapping[str, int]) -> str:
    shares = " and ".join(f"{_share(labels.get(name, 0), n)} of the {name} ones" for name, n in pairs.items())
    return f"of photos that both scored people labelled {shares}: how far the variants are apart only blind labels say"


def _share(part: int, whole: int) -> str:
    return f"{percent(part / max(whole, 1))} ({part:,} of {whole:,})"


def guardrail(
    state: str, seen: tuple[str, int, int], beside: tuple[str, int, int], limit: float, fault: str = "failed"
) -> str:
    """How one guardrail stands; `seen` and `beside` are name, faults and requests of the candidate and the control."""
    name, bad, total = seen
    said = f"{name} {fault} {bad:,} of its last {total:,} requests"
    said += f" ({percent(bad / total)}), " if total else ", "
    said += f"{beside[0]} {beside[1]:,} of {beside[2]:,}" if beside[2] else f"{beside[0]} had none"
    no_worse = beside[2] > 0 and bad * beside[2] <= beside[1] * total
    return (
        f"{said}; "
        + {
            "breach": f"more than the limit of {100 * limit:g} %, and that is certain",
            "above": f"more than the limit of {100 * limit:g} %, "
            + (f"but no more than {beside[0]}" if no_worse else "which is not certain to last"),
            "ok": f"the limit is {100 * limit:g} %",
            "too_little_traffic": f"too few to hold against the limit of {100 * limit:g} %",
        }[state]
    )
