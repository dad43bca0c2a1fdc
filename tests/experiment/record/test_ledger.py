"""Lines and files of the ledger."""

import json
import os
from pathlib import Path

import pytest

from experiment.record.ledger import BLOCK_BYTES, ledger_files, parse
from tests.classes import LEMON
from tests.experiment.conftest import Ledger, line


def changed(**fields: object) -> bytes:
    return json.dumps(json.loads(line("a")) | fields).encode()


def test_a_line_says_who_was_asked_and_how_it_went() -> None:
    found = parse(
        line("abc", "vgg16", "weighted", ts=1000.25, epoch=7, upstream_time_s=0.5, gateway="g", run="1").encode()
    )
    assert found is not None
    assert found[:10] == (1000.25, "abc", 7, "vgg16", "drawn", "ok", LEMON, 0.5, "g", "1")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "ok"), (400, "refused"), (413, "refused"), (499, "left"), (500, "failed"), (502, "away"), (504, "away")],
)
def test_a_status_is_the_variants_fault_the_clients_or_nobodys(status: int, outcome: str) -> None:
    found = parse(changed(status=status))
    assert found is not None
    assert found.outcome == outcome
    assert (found.answer == LEMON) == (outcome == "ok")


def test_an_unheard_of_class_is_an_answer_that_is_never_right() -> None:
    found = parse(changed(predicted_class="banana"))
    assert found is not None
    assert found.answer == "other"


def test_what_a_failed_variant_leaves_out_may_be_missing() -> None:
    assert parse(changed(predicted_class=None, probability=None, image_sha256=None, upstream_time_s=None, status=502))


def test_a_variant_that_is_no_more_is_still_one() -> None:
    found = parse(changed(variant="resnet"))
    assert found
    assert found.variant == "resnet"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"3",
        b'"ts"',
        b"\x00\xff\xfe\x80",
        b"GET / HTTP/1.1",
        b"[" * 100_000,
        line("a").encode()[:60],
        changed(ts=5),
        changed(ts="yesterday"),
        changed(ts="2026-01-01T00:00:00"),
        changed(ts="0001-01-01T00:00:00+23:59"),
        changed(request_id=None),
        changed(request_id=["a"]),
        changed(request_id=""),
        changed(request_id="a" * 65),
        changed(request_id="../a/b"),
        changed(request_id="\ud800"),
        changed(epoch="1"),
        changed(epoch=True),
        changed(epoch=-1),
        changed(epoch=10**100),
        changed(epoch=1.5),
        changed(variant="../custom"),
        changed(variant={}),
        changed(by="chance"),
        changed(by=[]),
        changed(status="200"),
        changed(status=7),
        changed(upstream_time_s=-1),
        changed(upstream_time_s="1"),
        changed(upstream_time_s=float("nan")),
        changed(upstream_time_s=float("inf")),
    ],
    ids=lambda raw: repr(raw[:40]),
)
def test_what_is_no_line_of_ours_is_none(raw: bytes) -> None:
    assert parse(raw) is None


def test_files_come_in_the_order_they_were_written(ledger: Ledger) -> None:
    for name in "abc":
        ledger.write(line(name))
        if name != "c":
            ledger.rotate()
    read = [parse(file.block(0)[0][0]) for file in ledger_files(ledger.folder)]
    assert [found.request_id for found in read if found] == ["a", "b", "c"]


def test_a_file_keeps_its_identity_when_it_is_renamed_or_restored(ledger: Ledger, tmp_path: Path) -> None:
    ledger.write(line("a"))
    before = next(ledger_files(ledger.folder)).identity
    rotated = ledger.rotate()
    data = rotated.read_bytes()
    rotated.unlink()
    (tmp_path / "takes-the-inode").touch()
    rotated.write_bytes(data + line("b").encode())
    assert next(ledger_files(ledger.folder)).identity == before


def test_a_file_in_the_same_place_and_inode_is_another(ledger: Ledger) -> None:
    ledger.write(line("a"))
    before = next(ledger_files(ledger.folder)).identity
    os.truncate(ledger.current, 0)
    assert not list(ledger_files(ledger.folder))
    ledger.write(line("b"))
    assert next(ledger_files(ledger.folder)).identity != before


def test_a_torn_last_line_waits_for_its_end(ledger: Ledger) -> None:
    whole = line("a").encode()
    ledger.write(whole, whole[:50])
    files = ledger_files(ledger.folder)
    file = next(files)
    assert file.block(0) == ([whole.strip()], len(whole))
    assert file.block(len(whole)) == ([], len(whole))


def test_a_line_longer_than_a_block_is_passed_over(ledger: Ledger) -> None:
    ledger.write(line("a"), b"x" * (2 * BLOCK_BYTES), b"\n", line("b"))
    files = ledger_files(ledger.folder)
    file = next(files)
    position, found = 0, []
    while True:
        raw, end = file.block(position)
        if not raw:
            break
        found += [parsed.request_id for parsed in map(parse, raw) if parsed]
        position = end
    assert found == ["a", "b"]


def test_an_empty_folder_has_no_files(tmp_path: Path) -> None:
    assert not list(ledger_files(tmp_path))
