"""What a photo can do to the process it is decoded in, and what others notice of it: nothing."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from serving.photos import pool as pools
from serving.photos.decode import decode
from serving.photos.errors import HeavyPhotoError, PhotoError, StarvedError
from serving.photos.job import Job
from serving.photos.pixels import to_pixels
from serving.photos.pool import Pool
from tests.serving.photos import SIDE, VIEW, encoded, quarters, scenery
from tests.serving.photos.hostile import large, rle_bitmap
from tests.system import eventually

linux = pytest.mark.skipif(sys.platform != "linux", reason="what a process is at is read from /proc")

GOOD = encoded(scenery(480, 360), "JPEG")
JOB = Job(VIEW, max_pixels=50_000_000, at_least=SIDE)
TOO_SLOW = "The photo takes too long to read: send it smaller, or as a JPEG."
BROKE = "The photo broke what was reading it, so it is refused: save it anew, or send another one."


@contextmanager
def pool(workers: int = 1) -> Iterator[Pool]:
    opened = Pool(workers, 50_000_000)
    try:
        yield opened
    finally:
        opened.close()


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def good(opened: Pool) -> bool:
    return np.array_equal(opened.read(GOOD, JOB).pixels, to_pixels(decode(GOOD, 50_000_000, SIDE), VIEW))


def test_pixels_and_preview_are_those_of_decoding_here() -> None:
    with pool() as opened:
        photo = opened.read(GOOD, Job(VIEW, 50_000_000, SIDE, preview=100))

        assert np.array_equal(photo.pixels, to_pixels(decode(GOOD, 50_000_000, SIDE), VIEW))
        assert photo.pixels.dtype == np.uint8
        assert decode(photo.preview, 50_000_000, SIDE).size == (100, 75)
        assert opened.read(GOOD, JOB).preview == b""


def test_what_is_answered_is_not_overwritten_by_the_next() -> None:
    with pool() as opened:
        first = opened.read(GOOD, JOB)
        before = first.pixels.copy()
        opened.read(encoded(quarters(), "PNG"), JOB)

        assert np.array_equal(first.pixels, before)


def test_a_photo_that_is_none() -> None:
    with pool() as opened:
        with pytest.raises(PhotoError, match="not a photo this service reads"):
            opened.read(b"no photo", JOB)
        assert good(opened)


@linux
@pytest.mark.parametrize("heavy", [False, True])
def test_a_worker_that_is_killed_in_the_middle_of_a_photo(heavy: bool) -> None:
    with pool() as opened:
        before = opened.pids
        if heavy:
            reading = opened.begin(rle_bitmap(), JOB, heavy=True)
            pid = reading._worker.pid
            eventually(lambda: cpu_ticks(pid) > 5)
        else:
            (pid,) = before
            os.kill(pid, signal.SIGSTOP)
            reading = opened.begin(GOOD, JOB)
        os.kill(pid, signal.SIGKILL)

        with pytest.raises(PhotoError, match=BROKE):
            reading.result()
        assert gone(pid)
        assert good(opened)
        assert (opened.pids == before) is heavy


@linux
def test_a_worker_that_is_killed_while_it_has_nothing_to_do_costs_no_photo() -> None:
    with pool() as opened:
        (pid,) = opened.pids
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")

        assert good(opened)


@linux
def test_the_process_that_workers_come_from_may_be_killed() -> None:
    with pool() as opened:
        nursery = pools._nursery._process
        assert nursery
        nursery.kill()
        nursery.wait()
        assert good(opened)
        (pid,) = opened.pids
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: gone(pid))

        assert good(opened)


@linux
def test_a_photo_that_takes_too_much_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "_HEAVY_CPU_S", 0.2)
    with pool() as opened:
        reading = opened.begin(rle_bitmap(), JOB, heavy=True)
        pid = reading._worker.pid
        with pytest.raises(PhotoError, match=TOO_SLOW):
            reading.result()
        assert gone(pid)
        assert good(opened)


@linux
@pytest.mark.parametrize(
    ("enough_s", "refused"),
    [(1000, pytest.raises(StarvedError, match="no time here")), (0.1, pytest.raises(PhotoError, match=TOO_SLOW))],
)
def test_a_photo_that_runs_out_of_time_is_at_fault_where_the_machine_gave_it_enough(
    enough_s: float, refused: AbstractContextManager[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "_GOOD_CPU_S", enough_s)
    monkeypatch.setattr(pools, "_HEAVY_S", 0.2)
    with pool() as opened:
        reading = opened.begin(rle_bitmap(), JOB, heavy=True)
        pid = reading._worker.pid
        eventually(lambda: cpu_ticks(pid) > 20)
        os.kill(pid, signal.SIGSTOP)
        with refused:
            reading.result()
        assert gone(pid)
        assert good(opened)


@linux
def test_a_worker_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "_LIGHT_S", 0.2)
    with pool() as opened:
        (pid,) = opened.pids
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(StarvedError):
            opened.read(GOOD, JOB)
        assert gone(pid)
        monkeypatch.undo()
        assert good(opened)


@linux
def test_a_photo_that_takes_too_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "_MB", 8)
    monkeypatch.setattr(pools, "_BYTES_PER_PIXEL", 4)
    with pool() as opened:
        (pid,) = opened.pids
        with pytest.raises(PhotoError, match="takes too much memory to read"):
            opened.read(large(2200, 2200, "PNG", "RGBA"), JOB)
        assert good(opened)
        assert opened.pids == [pid]


@linux
def test_a_photo_that_is_slow_for_its_size_has_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "_LIGHT_CPU_S", 0.02)
    data = large(2200, 2200, "PNG", "RGBA")
    with pool() as opened:
        with pytest.raises(HeavyPhotoError):
            opened.read(data, JOB)
        assert opened.read(data, JOB, heavy=True).pixels.shape == (150, 150, 3)


@linux
def test_others_are_read_while_one_is_not_to_be_had() -> None:
    with pool(2) as opened:
        pid = opened.pids[0]
        os.kill(pid, signal.SIGSTOP)
        reading = opened.begin(GOOD, JOB)
        assert all(good(opened) for _ in range(10))
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(PhotoError):
            reading.result()
        assert all(good(opened) for _ in range(4))


def test_a_photo_of_many_pixels_has_a_process_of_its_own() -> None:
    data = large(3000, 2000, "PNG")
    with pool() as opened:
        before = opened.pids
        with pytest.raises(HeavyPhotoError):
            opened.read(data, JOB)
        assert opened.read(data, JOB, heavy=True).pixels.shape == (150, 150, 3)
        assert opened.pids == before


@linux
def test_nothing_is_left_of_a_pool() -> None:
    with pool(2) as opened:
        pids = opened.pids
        assert len(set(pids)) == 2
        opened.read(large(3000, 2000, "PNG"), JOB, heavy=True)
    assert all(gone(pid) for pid in pids)


@linux
def test_a_worker_is_the_first_to_go_where_memory_runs_out() -> None:
    with pool() as opened:
        (pid,) = opened.pids
        assert good(opened)
        assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "1000\n"


@linux
def test_a_file_in_memory_does_not_stay_as_large_as_the_largest_photo() -> None:
    with pool() as opened:
        (worker,) = opened._workers
        opened.read(large(1900, 1900, "BMP"), JOB)
        assert os.fstat(worker._file).st_size < 1_000_000
        assert good(opened)


def test_a_photo_that_trips_what_reads_it_is_refused_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    with pool() as opened:
        with pytest.raises(PhotoError, match=BROKE):
            opened.read(GOOD, None)  # type: ignore[arg-type]
        assert good(opened)
    assert "A photo broke what was reading it: 'AttributeError" in caplog.text


@linux
@pytest.mark.parametrize("heavy", [False, True])
def test_a_photo_that_nobody_waits_for_any_more_is_given_up_in_the_middle(heavy: bool) -> None:
    with pool() as opened:
        reading = opened.begin(rle_bitmap(), JOB, heavy=heavy)
        pid = reading._worker.pid
        if not heavy:
            os.kill(pid, signal.SIGSTOP)
        reading.stop()

        with pytest.raises(PhotoError):
            reading.result()
        assert gone(pid)
        assert good(opened)


def test_giving_up_a_photo_that_is_read_already_harms_no_other() -> None:
    with pool() as opened:
        before = opened.pids
        reading = opened.begin(GOOD, JOB)
        assert reading.result().pixels.shape == (150, 150, 3)
        reading.stop()

        assert good(opened)
        assert opened.pids == before


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"no json\n",
        b"7\n",
        b"{}\n",
        b'{"refused": "SystemExit", "sentence": ""}\n',
        b"-1\n",
        b"1000000000000\n",
        b"9" * 9_999,
        b'{"failed": "' + b"x" * 1_000_000,
    ],
)
def test_what_a_worker_says_is_not_believed(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with pool() as opened:
        (worker,) = opened._workers
        reading = opened.begin(b"photo", JOB)
        worker._answers.close()
        worker._answers = BytesIO(said)

        with pytest.raises(PhotoError, match=BROKE):
            reading.result()
        assert good(opened)
