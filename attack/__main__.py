"""``make attack``: everything that was found to hurt the system, sent to one that it starts, and what came of it."""

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from attack.confined import LIMIT_BYTES, Confined
from attack.contract import Contract, check
from attack.pictures import good_photos, made, pillows_pictures
from attack.rows import ROWS, Row, Target
from attack.slow import SLOW, Crowd, crowd, leavers
from attack.uploads import Answer, Uploads
from attack.visitor import Visitor
from local.parts import ROOT
from tests.serving.photos.hostile import (
    BOMBS,
    BROKEN,
    LARGE_BUT_GOOD,
    NO_PHOTO,
    ODD_BUT_WHOLE,
    ODD_METADATA,
    TOO_LARGE,
    mutated,
    rle_bitmap,
)

__all__ = ["FULL", "Attack", "Sizes", "attack", "main", "table"]

_SECURITY = ROOT / "SECURITY.md"
_BEGIN, _END = "<!-- attack -->\n", "<!-- end of attack -->"
SEED = 12


def _say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


@dataclass(frozen=True)
class Sizes:
    """How much of everything. ``quiet_s``: how long the visitor is beside ordinary load first."""

    quiet_s: float
    mutations: int
    crowd: int
    crowd_s: float
    contract_s: int
    whole_uploads: int
    leavers: int
    alternations: int = 40
    labels: int = 100
    pillow: bool = True
    large: tuple[str, ...] = tuple(LARGE_BUT_GOOD)


FULL = Sizes(quiet_s=20, mutations=20_000, crowd=200, crowd_s=40, contract_s=60, whole_uploads=100, leavers=60)


@dataclass
class Attack:
    """What came of one. ``waits`` of a visitor in seconds, by what was going on beside it."""

    statuses: Counter[int] = field(default_factory=Counter)
    uploads: int = 0
    failures: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    crowds: list[Crowd] = field(default_factory=list)
    waits: dict[str, list[float]] = field(default_factory=dict)
    unanswered: int = 0
    contract: Contract | None = None
    ended: list[str] = field(default_factory=list)
    killed: int = 0
    peaks_mb: dict[str, float] = field(default_factory=dict)
    handed_on: int = 0
    verdicts: tuple[str, str] = ("", "")
    minutes: float = 0
    notes: list[str] = field(default_factory=list)

    def longest(self, beside: str) -> float:
        return self.waits[beside][-1]

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


def attack(folder: Path, photo: bytes, sizes: Sizes, say: Callable[[str], None] = _say) -> Attack:
    """Starts a system in ``folder`` and attacks it; ``photo`` is what polite visitors send."""
    found, began = Attack(), time.monotonic()
    images = folder / "images"
    images.mkdir(parents=True)
    with Confined(folder, KEEP_IMAGES=str(images), ACCESS="token") as system:
        uploads, visitor = Uploads(system.url), Visitor(system.url, photo)
        target = Target(system, uploads, photo, sizes.alternations, sizes.labels)
        before = target.facts()["verdict"]["outcome"]
        _quiet(found, visitor, uploads, photo, sizes.quiet_s)
        with visitor.there():
            for name, act in _phases(found, target, folder, sizes):
                phase = time.monotonic()
                act()
                say(f"{name}: {time.monotonic() - phase:.0f} s, {uploads.sent:,} uploads, {dict(uploads.statuses)}")
        found.waits["the attack"] = visitor.take()
        found.unanswered = visitor.unanswered
        _reckon(found, target, before)
    found.minutes = (time.monotonic() - began) / 60
    return found


def _quiet(found: Attack, visitor: Visitor, uploads: Uploads, photo: bytes, seconds: float) -> None:
    """The visitor alone, and beside as many others who send good photos without a pause."""
    with visitor.there():
        time.sleep(seconds)
    found.waits["nobody"] = visitor.take()
    deadline = time.monotonic() + seconds

    def good() -> Iterator[tuple[str, bytes]]:
        while time.monotonic() < deadline:
            yield "a good photo", photo

    with visitor.there():
        uploads.send(good())
    found.waits["as many ordinary clients"] = visitor.take()


def _phases(found: Attack, target: Target, folder: Path, sizes: Sizes) -> Iterator[tuple[str, Callable[[], object]]]:
    uploads, system, photo = target.uploads, target.system, target.photo
    wicked = list(made(BOMBS, TOO_LARGE, BROKEN, NO_PHOTO, ODD_BUT_WHOLE, ODD_METADATA))
    yield "what is made to do harm, on /predict", lambda: uploads.send(wicked)
    yield "the same on /result/", lambda: uploads.send(wicked, "/result/")
    large = [(f"large {name}", LARGE_BUT_GOOD[name]()) for name in sizes.large]
    yield "photos as large as are served", lambda: uploads.send([each for each in large if len(each[1]) < 10_000_000])
    changed = mutated(good_photos(), sizes.mutations, SEED)
    yield f"{sizes.mutations:,} photos that changed on their way", lambda: uploads.send(changed)
    if sizes.pillow:
        yield "the test pictures of Pillow", lambda: _pillow(found, uploads, folder)
    yield "uploads of ten megabytes at once", lambda: _whole(uploads, sizes.whole_uploads)
    yield "clients that leave", lambda: leavers(system.url, rle_bitmap(), sizes.leavers)
    yield "slow clients", lambda: _crowds(found, system.url, photo, sizes)
    for name, act in ROWS.items():
        yield name, lambda name=name, act=act: found.rows.append(Row(name, *act(target)))  # type: ignore[misc]
    yield "Schemathesis", lambda: setattr(found, "contract", check(system.url, folder, sizes.contract_s))


def _pillow(found: Attack, uploads: Uploads, folder: Path) -> list[Answer]:
    try:
        return uploads.send(pillows_pictures(folder))
    except OSError as error:
        found.notes.append(f"Pillow's test pictures were not sent: {error}.")
        return []


def _whole(uploads: Uploads, count: int) -> None:
    data = bytes(10_000_000)
    threads = [threading.Thread(target=uploads.post, args=(100 + n, "ten megabytes", data)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _crowds(found: Attack, url: str, photo: bytes, sizes: Sizes) -> None:
    def one(kind: str) -> None:
        found.crowds.append(crowd(url, kind, photo, sizes.crowd, sizes.crowd_s))

    threads = [threading.Thread(target=one, args=(kind,)) for kind in SLOW]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _reckon(found: Attack, target: Target, before: str) -> None:
    system, uploads = target.system, target.uploads
    found.verdicts = (before, target.facts()["verdict"]["outcome"])
    found.uploads, found.statuses, found.failures = uploads.sent, uploads.statuses, uploads.failures
    found.ended, found.killed, found.peaks_mb = system.ended(), system.killed(), system.peaks_mb()
    if not system.confined:
        found.notes.append("Memory was neither limited nor measured: that takes a user who may make control groups.")
    failed: Counter[str] = Counter()
    for line in system.ledger():
        if line["by"] != "shadow" and line["status"] in (500, 502, 504):
            failed[line["request_id"]] += 1
    found.handed_on = sum(times > 1 for times in failed.values())


def table(found: Attack) -> str:
    """What came of it, as Markdown."""
    statuses = ", ".join(f"{status or 'cut off'}: {count:,}" for status, count in sorted(found.statuses.items()))
    waits = {
        beside: f"{waits[-1]:.2f} s (99 %: {_percentile(waits, 99):.2f} s)" for beside, waits in found.waits.items()
    }
    attacked, ordinary = found.longest("the attack"), found.longest("as many ordinary clients")
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
        f"| beside the attack | ≤ 2 × | {waits['the attack']}, {attacked / ordinary:.1f} × |",
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


def _write(path: Path, text: str) -> None:
    """Replaces what stands between the marks."""
    head, begin, rest = path.read_text().partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    path.write_text(head + begin + text + end + tail)


def _lines(sentences: Iterable[str]) -> str:
    return "".join(f"{sentence}\n" for sentence in sentences)


def main() -> int:
    """Takes about 10 minutes on 2 cores; the table goes into SECURITY.md."""
    photo = next((ROOT / "sample_data").rglob("*.jpg")).read_bytes()
    with TemporaryDirectory(prefix="attack-") as folder:
        found = attack(Path(folder), photo, FULL)
    taken = f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {found.minutes:.0f} minutes, seed {SEED}."
    text = f"{table(found)}\n\n{_lines(found.notes)}Measured: {taken}\n"
    print(f"\n{text}\n{_lines(found.bad)}")
    _write(_SECURITY, text)
    return bool(found.bad)


if __name__ == "__main__":
    sys.exit(main())
