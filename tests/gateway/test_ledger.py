"""The ledger's files: by number, bounded, given up once they are read, and missed when they are lost."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.system import System, eventually

_READ = re.compile(r"ledger-s\d{9}\.jsonl")


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[System]:
    """One whose volume never has the room that it should have."""
    with System(tmp_path, workers=2, LEDGER_FREE_MB="999999999") as started:
        yield started


@pytest.fixture
def turning(tmp_path: Path) -> Iterator[System]:
    """One whose ledger turns to a new file after a few lines, and keeps three."""
    with System(tmp_path, workers=2, LEDGER_BYTES="700", LEDGER_FILES="3") as started:
        yield started


def _report(system: System) -> dict[str, Any]:
    facts: dict[str, Any] = requests.get(f"{system.url}/experiment.json", timeout=30).json()
    return facts


def _assigned(system: System) -> int:
    return sum(_report(system)["traffic"]["assigned"].values())


def _rotated(system: System) -> list[str]:
    return sorted(path.name for path in system.place.ledger.iterdir() if _READ.fullmatch(path.name))


def test_where_room_is_scarce_what_was_read_is_given_up_and_everybody_is_told(crowded: System, photo: bytes) -> None:
    for number in range(1, 4):
        assert crowded.predict(photo).status_code == 200
        eventually(lambda number=number: _assigned(crowded) == number)  # type: ignore[misc]
        # Read, it goes, and the next one has another number.
        eventually(lambda number=number: _sequence(crowded) == number and not _rotated(crowded))  # type: ignore[misc]
    assert crowded.health()["ledger"]["low"] is True
    eventually(lambda: _report(crowded)["ledger"]["low"] == ["gateway"])
    assert "gateway runs out of room for its ledger" in crowded.abtest("status").stdout
    assert "gateway runs out of room for its ledger." in requests.get(f"{crowded.url}/experiment", timeout=30).text
    assert _report(crowded)["ledger"]["lost"] == 0


def _sequence(system: System) -> int:
    name = Path(system.place.gateway["STATE_DIR"], "rotated").read_text()
    return int(name.removeprefix("ledger-s").split(".")[0])


def test_what_is_not_read_is_kept_where_room_is_scarce(crowded: System, photo: bytes) -> None:
    crowded.stop("experiment")
    crowded.predict(photo)
    eventually(lambda: _rotated(crowded))
    crowded.predict(photo)
    eventually(lambda: (crowded.place.ledger / "ledger.jsonl").stat().st_size)
    assert len(_rotated(crowded)) == 1
    crowded.start("experiment")
    eventually(lambda: _assigned(crowded) == 2)
    eventually(lambda: not _rotated(crowded))


def test_files_go_by_number_whatever_the_clock_says(turning: System, photo: bytes) -> None:
    turning.stop("experiment")
    for number in range(1, 5):
        for _ in range(4):
            turning.predict(photo)
        eventually(lambda number=number: _sequence(turning) == number)  # type: ignore[misc]
    # With the one being written, three; the oldest went though nobody had read them.
    eventually(lambda: _rotated(turning) == ["ledger-s000000003.jsonl", "ledger-s000000004.jsonl"])
    turning.start("experiment")
    report = eventually(lambda: (found := _report(turning))["ledger"]["lost"] and found)
    assert report["ledger"]["lost"] == 16 - sum(report["traffic"]["assigned"].values())
    assert any("lines of the ledger were lost" in weakness for weakness in report["weaknesses"])
