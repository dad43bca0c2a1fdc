"""What came of an attack: the numbers, what is not as it is wanted, and a table of both."""

from collections import Counter
from dataclasses import dataclass, field

from attack.clients.slow import Crowd
from attack.confined import LIMIT_BYTES
from attack.contract import Contract
from attack.tried.rows import Row

__all__ = ["Attack", "table"]


@dataclass
class Attack:
    """What came of one. ``waits`` of a visitor in seconds, by what was going on beside it."""

    statuses: Counter[int] = field(default_factory=Counter)
    uploads: int = 0
    failures: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    crowds: list[Crowd] = field(default_factory=list)
    waits: dict[str, list[float]] = field(default_factory=dict)
    longest: tuple[float, str] = (0, "")
    """Of the waits beside the attack, and what was going on."""
    unanswered: int = 0
    contract: Contract | None = None
    ended: list[str] = field(default_factory=list)
    killed: int = 0
    peaks_mb: dict[str, float] = field(default_factory=dict)
    handed_on: int = 0
    verdicts: tuple[str, str] = ("", "")
    minutes: float = 0
    notes: list[str] = field(default_factory=list)

    @property
    def bad(self) -> list[str]:
        """What is not as it is wanted, a sentence each."""
        found = [f"It failed: {failure}." for failure in self.failures[:20]]
        found += [f"It got through: {row.attack} ({row.seen})." for row in self.rows if not row.held]
        found += [f"It ended: {part}." for part in self.ended]
        found += [f"{name} took {peak:.0f} MB." for name, peak in self.peaks_mb.items() if peak > 1500]
        if self.contract:
            found += [f"The description is not kept: {failure}." for failure in self.contract.failures]
        if self.handed_on:
            found.append(f"{self.handed_on} uploads that one variant failed were handed to the other.")
        if self.verdicts[0] != self.verdicts[1]:
            found.append(f"The verdict was {self.verdicts[0]} and is {self.verdicts[1]}.")
        return found


def table(found: Attack) -> str:
    """What came of it, as Markdown."""
    statuses = ", ".join(f"{status or 'cut off'}: {count:,}" for status, count in sorted(found.statuses.items()))
    waits = {
        beside: f"{waits[-1]:.2f} s of {len(waits):,} (99 %: {_percentile(waits, 99):.2f} s)"
        for beside, waits in found.waits.items()
    }
    factor = found.waits["the attack"][-1] / found.waits["as many ordinary clients"][-1]
    peaks = ", ".join(f"{name} {peak:,.0f} MB" for name, peak in found.peaks_mb.items()) or "not measured"
    lines = [
        "| | wanted | measured |",
        "| --- | --- | --- |",
        f"| uploads | | {found.uploads:,} |",
        f"| statuses | | {statuses} |",
        f"| 5xx but honest 503, and connections cut off | 0 | {len(found.failures)} |",
        f"| uploads that one variant failed, handed to the other | 0 | {found.handed_on} |",
        f"| parts that ended | 0 | {len(found.ended)} |",
        f"| processes that the kernel ended for want of memory | | {found.killed} |",
        f"| peak memory, of {LIMIT_BYTES / 1e6:,.0f} MB | ≤ 1,500 MB | {peaks} |",
        f"| longest wait of a polite visitor, alone | | {waits['nobody']} |",
        f"| beside as many ordinary clients | | {waits['as many ordinary clients']} |",
        f"| beside the attack | ≤ 2 × | {waits['the attack']}, {factor:.1f} ×; {found.longest[1]} |",
        f"| photos of that visitor's without an answer | 0 | {found.unanswered} |",
        f"| verdict before and after | the same | {found.verdicts[0]}, {found.verdicts[1]} |",
    ]
    if found.contract:
        words = f"{found.contract.requests:,} requests, {len(found.contract.failures)} failures"
        lines.append(f"| Schemathesis, all checks | 0 failures | {words} |")
    lines += [f"| {each.kind}, {each.clients} at once | | {each.closed} were sent away |" for each in found.crowds]
    lines += ["", "| attack | came to | held |", "| --- | --- | --- |"]
    lines += [f"| {row.attack} | {row.seen} | {'yes' if row.held else '**no**'} |" for row in found.rows]
    return "\n".join(lines)


def _percentile(waits: list[float], percent: int) -> float:
    return waits[min(len(waits) * percent // 100, len(waits) - 1)]
