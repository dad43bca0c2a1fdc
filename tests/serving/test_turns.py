import gc
import threading
import weakref
from concurrent.futures import CancelledError
from functools import partial

import pytest

from serving.turns import Turns

MB = 1_000_000


def test_a_small_one_passes_large_ones_that_came_just_before() -> None:
    turns, go, done = Turns(1, "test"), threading.Event(), list[str]()
    first = turns.submit(0, partial(go.wait, 60))
    large = [turns.submit(10 * MB, partial(done.append, f"large {number}")) for number in range(2)]
    small = [turns.submit(20_000, partial(done.append, f"small {number}")) for number in range(2)]
    go.set()
    assert first.result(60)
    for turn in (*large, *small):
        turn.result(60)
    turns.close()

    assert done == ["small 0", "small 1", "large 0", "large 1"]


def test_a_large_one_does_not_wait_for_all_that_come_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("serving.turns.monotonic", lambda: now)
    turns, go, done = Turns(1, "test"), threading.Event(), list[str]()
    turns.submit(0, partial(go.wait, 60))
    large = turns.submit(10 * MB, partial(done.append, "large"))
    now = 2.9
    before = turns.submit(0, partial(done.append, "within 3 s"))
    now = 3.1
    after = turns.submit(0, partial(done.append, "later"))
    go.set()
    for turn in (large, before, after):
        turn.result(60)
    turns.close()

    assert done == ["within 3 s", "large", "later"]


def test_what_is_cancelled_while_it_waits_is_not_done() -> None:
    turns, go, done = Turns(1, "test"), threading.Event(), list[str]()
    running = turns.submit(0, partial(go.wait, 60))
    waiting = turns.submit(0, partial(done.append, "waiting"))

    assert waiting.cancel()
    go.set()
    running.result(60)
    turns.close()
    with pytest.raises(CancelledError):
        waiting.result(60)
    assert not done


def test_an_error_is_that_of_its_turn_and_keeps_no_photo_in_memory() -> None:
    class Photo:
        def read(self) -> None:
            raise ValueError("broken")

    turns, photo = Turns(1, "test"), Photo()
    held = weakref.ref(photo)
    gc.disable()
    try:
        turn = turns.submit(0, photo.read)
        with pytest.raises(ValueError, match="broken"):
            turn.result(60)
        del turn, photo
        assert turns.submit(0, lambda: 7).result(60) == 7
        assert held() is None
    finally:
        gc.enable()
        turns.close()
