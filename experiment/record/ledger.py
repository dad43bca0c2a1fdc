"""The ledger that nginx writes: its lines, and its files as they come and go."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from variants import CLASSES, OTHER

__all__ = [
    "BLOCK_BYTES",
    "CURRENT",
    "PERSON",
    "REQUEST_ID",
    "Kind",
    "LedgerFile",
    "Line",
    "Outcome",
    "highest_epoch",
    "ledger_files",
    "parse",
]

CURRENT = "ledger.jsonl"
BLOCK_BYTES = 2**21
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
PERSON = re.compile(r"[0-9]{10}")
_NAME = re.compile(r"[A-Za-z0-9._-]{0,64}")
_VARIANT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TICKET = re.compile(r"[0-9a-f]{32}")
_FIRST_BYTES = 4096
_LAST_BYTES = 65536

Kind = Literal["drawn", "forced", "shadow"]
Outcome = Literal["ok", "failed", "away", "refused", "left"]

_KINDS: dict[str, Kind] = {
    "round_robin": "drawn",
    "weighted": "drawn",
    "sticky": "drawn",
    "pair": "drawn",
    "random": "drawn",
    "forced": "forced",
    "shadow": "shadow",
}
_KNOWN = frozenset(CLASSES)


class Line(NamedTuple):
    """One variant asked once. ``ts`` in seconds since 1970; ``answer`` is a class, where the variant gave one.

    ``outcome``: a variant that failed (500), or was not there or too busy to answer (502 to 504); a request it rightly
    refused (4xx); a client that left before the answer. ``gateway`` wrote the line in its ``run``, which begins with
    each start of nginx. ``image`` is the SHA-256 of the photo, ``person`` a keyed hash of who sent it, and ``sticky``
    says that people were drawn. Whoever shows ``ticket`` got this answer, and may say once what the photo showed. Older
    lines lack some.
    """

    ts: float
    request_id: str
    epoch: int
    variant: str
    kind: Kind
    outcome: Outcome
    answer: str | None
    seconds: float | None
    gateway: str = ""
    run: str = ""
    image: str | None = None
    person: str | None = None
    sticky: bool = False
    ticket: bytes | None = None


def parse(raw: bytes) -> Line | None:
    """The line, or None where it is none of ours. Its variant may be one that is no more."""
    try:
        entry = json.loads(raw.decode())
        moment = datetime.fromisoformat(entry["ts"])
        ts = moment.timestamp()
        request_id, epoch, variant, status = entry["request_id"], entry["epoch"], entry["variant"], entry["status"]
        kind = _KINDS[entry["by"]]
        answer, seconds = entry["predicted_class"], entry["upstream_time_s"]
        gateway, run = entry.get("gateway", ""), entry.get("run", "")
        image, person, ticket = entry.get("image_sha256"), entry.get("person"), entry.get("ticket")
        fits = (
            moment.tzinfo is not None
            and ts > 0
            and _VARIANT.fullmatch(variant)
            and type(epoch) is int
            and 0 <= epoch < 2**31
            and type(status) is int
            and 100 <= status < 600
            and REQUEST_ID.fullmatch(request_id)
            and (seconds is None or 0 <= seconds < 1e6)
            and _NAME.fullmatch(gateway)
            and _NAME.fullmatch(run)
            and (image is None or _SHA256.fullmatch(image))
            and (person is None or PERSON.fullmatch(person))
            and (ticket is None or _TICKET.fullmatch(ticket))
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError, RecursionError):
        return None
    if not fits:
        return None
    if answer is not None and (type(answer) is not str or answer not in _KNOWN):
        answer = OTHER
    if status < 400:
        outcome: Outcome = "ok"
    elif status >= 500:
        outcome = "away" if status in (502, 503, 504) else "failed"
    else:
        outcome = "left" if status == 499 else "refused"
    return Line(
        ts,
        request_id,
        epoch,
        variant,
        kind,
        outcome,
        answer if outcome == "ok" else None,
        seconds,
        gateway,
        run,
        image,
        person,
        entry["by"] == "sticky",
        bytes.fromhex(ticket) if ticket else None,
    )


@dataclass(frozen=True)
class LedgerFile:
    """One open file of the ledger: ``name`` within its folder. ``identity`` stays when it is renamed or restored."""

    name: str
    identity: str
    handle: BinaryIO

    def size(self) -> int:
        """How long it is now: it grows while it is read."""
        return os.fstat(self.handle.fileno()).st_size

    def block(self, position: int) -> tuple[list[bytes], int]:
        """The whole lines from ``position`` on, about ``BLOCK_BYTES`` of them, and where they end.

        A last line without its end is left for later, unless it alone is longer than a block.
        """
        self.handle.seek(position)
        data = self.handle.read(BLOCK_BYTES)
        end = data.rfind(b"\n") + 1
        if not end:
            return ([data], position + len(data)) if len(data) == BLOCK_BYTES else ([], position)
        return data[: end - 1].split(b"\n"), position + end


def ledger_files(folder: Path) -> Iterator[LedgerFile]:
    """The files that have a line, each open while it is looked at, in the order that each gateway wrote them.

    A gateway writes to ``folder``, any further one to a folder of its own name in it.
    """
    for ledger in [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]:
        # Numbered, or stamped with the time of their rotation by an earlier version: names sort by age.
        for path in [*sorted(ledger.glob("ledger-*.jsonl")), ledger / CURRENT]:
            with suppress(FileNotFoundError), path.open("rb") as handle:
                start = handle.read(_FIRST_BYTES)
                line, newline, _ = start.partition(b"\n")
                if newline or len(start) == _FIRST_BYTES:
                    name = path.relative_to(folder).as_posix()
                    yield LedgerFile(name, hashlib.sha256(line).hexdigest(), handle)


def highest_epoch(folder: Path) -> int:
    """The greatest epoch at the end of any file; 0 without one."""
    highest = 0
    for file in ledger_files(folder):
        file.handle.seek(max(0, file.size() - _LAST_BYTES))
        epochs = re.findall(rb'"epoch":([0-9]{1,9}),', file.handle.read(_LAST_BYTES))
        highest = max([highest, *map(int, epochs)])
    return highest
