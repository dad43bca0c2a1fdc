"""``make attack``: everything that was found to hurt the system, sent to one that it starts, and what came of it."""

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from attack.clients.slow import SLOW, crowd, leavers
from attack.clients.uploads import Answer, Uploads
from attack.clients.visitor import Visitor
from attack.confined import Confined
from attack.contract import check
from attack.found import Attack, table
from attack.pictures import good_photos, made, pillows_pictures
from attack.target import Target
from attack.tried.rows import ROWS, Row
from local.parts import ROOT
from tests.serving.photos.hostile import (
    BOMBS,
    BROKEN,
    LABORIOUS,
    LARGE_BUT_GOOD,
    NO_PHOTO,
    ODD_BUT_WHOLE,
    ODD_METADATA,
    TOO_LARGE,
    mutated,
    rle_bitmap,
)

__all__ = ["FULL", "Sizes", "attack", "main"]

_SECURITY = ROOT / "SECURITY.md"
_BEGIN, _END = "<!-- attack -->\n", "<!-- end of attack -->"
SEED = 12


def _say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


@dataclass(frozen=True)
class Sizes:
    """How much of everything. At first the visitor is alone for ``quiet_s``, then beside ordinary clients."""

    quiet_s: float
    ordinary_s: float
    mutations: int
    crowd: int
    crowd_s: float
    examples: int
    whole_uploads: int
    leavers: int
    alternations: int = 40
    labels: int = 100
    pillow: bool = True
    large: tuple[str, ...] = tuple(LARGE_BUT_GOOD)


# Beside ordinary clients not much shorter than beside the attack: of more photos the longest wait is longer.
FULL = Sizes(
    quiet_s=10,
    ordinary_s=90,
    mutations=20_000,
    crowd=200,
    crowd_s=40,
    examples=40,
    whole_uploads=100,
    leavers=60,
)


def attack(folder: Path, photo: bytes, sizes: Sizes, say: Callable[[str], None] = _say) -> Attack:
    """Starts a system in ``folder`` and attacks it; ``photo`` is what polite visitors send."""
    found, began = Attack(), time.monotonic()
    images = folder / "images"
    images.mkdir(parents=True)
    (folder / "photo.jpg").write_bytes(photo)
    with Confined(folder, KEEP_IMAGES=str(images), ACCESS="token") as system:
        uploads, visitor = Uploads(system.url), Visitor(system.url, folder / "photo.jpg")
        target = Target(system, uploads, photo, sizes.alternations, sizes.labels)
        before = target.facts()["verdict"]["outcome"]
        _quiet(found, visitor, uploads, photo, sizes)
        beside: list[float] = []
        with visitor.there():
            for name, act in _phases(found, target, folder, sizes):
                phase = time.monotonic()
                act()
                waits = visitor.take()
                beside += waits
                longest = max(waits, default=0)
                found.longest = max(found.longest, (longest, name))
                say(f"{name}: {time.monotonic() - phase:.0f} s, {uploads.sent:,} uploads, {longest:.1f} s waited")
        found.waits["the attack"] = sorted(beside + visitor.take())
        found.unanswered = visitor.unanswered
        _reckon(found, target, before)
    found.minutes = (time.monotonic() - began) / 60
    return found


def _quiet(found: Attack, visitor: Visitor, uploads: Uploads, photo: bytes, sizes: Sizes) -> None:
    """The visitor alone, and beside as many others who send good photos without a pause."""
    with visitor.there():
        time.sleep(sizes.quiet_s)
    found.waits["nobody"] = visitor.take()
    deadline = time.monotonic() + sizes.ordinary_s

    def good() -> Iterator[tuple[str, bytes]]:
        while time.monotonic() < deadline:
            yield "a good photo", photo

    with visitor.there():
        uploads.send(good())
    found.waits["as many ordinary clients"] = visitor.take()


def _phases(found: Attack, target: Target, folder: Path, sizes: Sizes) -> Iterator[tuple[str, Callable[[], object]]]:
    uploads, system, photo = target.uploads, target.system, target.photo
    wicked = list(made(BOMBS, TOO_LARGE, BROKEN, NO_PHOTO, ODD_BUT_WHOLE, ODD_METADATA, LABORIOUS))
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
    yield "Schemathesis", lambda: setattr(found, "contract", check(system.url, folder, sizes.examples, target.token))


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
