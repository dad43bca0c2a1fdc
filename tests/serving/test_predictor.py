import asyncio
import hashlib
import sys
import threading
from collections.abc import Callable, Coroutine
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from serving.models.engines.batches import Together
from serving.models.errors import ModelError
from serving.photos.decode import decode
from serving.photos.errors import PhotoError
from serving.photos.pixels import to_pixels
from serving.places import OverloadedError
from serving.predictor import Prediction, Predictor, _Order
from serving.settings import Settings
from tests.classes import LEMON
from tests.serving.apps import CLASSES, GOOD, Score, engine_of, lemon
from tests.serving.photos import SIDE, VIEW, encoded, scenery
from tests.serving.photos.hostile import rle_bitmap
from tests.system import eventually


def predict(data: bytes, engine: Score = lemon, with_preview: bool = False, **settings: Any) -> Prediction:
    predictor = Predictor(engine_of(engine), CLASSES, Settings(**{"threads": 1, **settings}))
    try:
        return asyncio.run(predictor.predict(data, with_preview))
    finally:
        predictor.close()


def run(
    scenario: Callable[[Predictor], Coroutine[Any, Any, None]], predictor: Predictor, go: threading.Event | None = None
) -> None:
    """``go`` is what engines wait for."""
    try:
        asyncio.run(scenario(predictor))
    finally:
        if go:
            go.set()
        predictor.close()


def test_what_is_said_of_a_photo() -> None:
    prediction = predict(GOOD)

    assert prediction.likely_class == LEMON
    assert prediction.probability == prediction.probabilities[LEMON]
    assert list(prediction.probabilities) == list(CLASSES)
    assert prediction.image_sha256 == hashlib.sha256(GOOD).hexdigest()
    assert prediction.decode_s > 0
    assert prediction.infer_s > 0
    assert prediction.preview is None


@pytest.mark.parametrize("scores", [(1 / 3, 1 / 3, 1 / 3), (0.123456789, 0.7, 0.2), (1e-30, 1, 1e-8), (0, 0.9996, 0)])
def test_probabilities_sum_to_1_as_printed(scores: tuple[float, ...]) -> None:
    probabilities = predict(GOOD, lambda _: np.array(scores, np.float32)).probabilities

    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-12)


def test_the_engine_sees_the_photos_pixels() -> None:
    seen: list[NDArray[np.uint8]] = []

    def engine(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append(pixels)
        return lemon(pixels)

    predict(GOOD, engine)

    assert np.array_equal(seen[0], to_pixels(decode(GOOD, 10**6, SIDE), VIEW))


def test_a_preview_fits_a_page() -> None:
    original = scenery(2400, 1600)
    preview = predict(encoded(original, "PNG"), with_preview=True).preview

    assert preview is not None
    shown = Image.open(BytesIO(preview))
    assert (shown.format, shown.size) == ("JPEG", (800, 533))
    difference = np.abs(np.asarray(shown, float) - np.asarray(original.resize(shown.size), float))
    assert difference.mean() < 3


def test_a_photo_is_kept_large_enough_to_tell_what_it_shows(tmp_path: Path) -> None:
    kept = predict(encoded(scenery(1200, 1200), "JPEG"), keep_images=tmp_path).preview

    assert kept is not None
    assert min(Image.open(BytesIO(kept)).size) >= 300


def test_a_small_photo_is_not_blown_up_for_its_preview() -> None:
    preview = predict(GOOD, with_preview=True).preview

    assert preview is not None
    assert Image.open(BytesIO(preview)).size == Image.open(BytesIO(GOOD)).size


def test_a_photo_of_too_many_pixels() -> None:
    with pytest.raises(PhotoError, match="480×360"):
        predict(GOOD, max_pixels=480 * 360 - 1)


def test_so_many_run_and_so_many_wait_and_no_more() -> None:
    go, running = threading.Event(), threading.Semaphore(0)

    def engine(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        running.release()
        assert go.wait(30)
        return lemon(pixels)

    async def scenario(predictor: Predictor) -> None:
        asked = [asyncio.create_task(predictor.predict(GOOD)) for _ in range(2 + 3)]
        await asyncio.gather(asyncio.to_thread(running.acquire), asyncio.to_thread(running.acquire))
        assert predictor.full(len(GOOD))
        assert not running.acquire(blocking=False), "more at once than there are threads"
        with pytest.raises(OverloadedError):
            await predictor.predict(GOOD)
        go.set()
        assert {prediction.likely_class for prediction in await asyncio.gather(*asked)} == {LEMON}
        assert not predictor.full(len(GOOD))
        assert (await predictor.predict(GOOD)).likely_class == LEMON

    run(scenario, Predictor(engine_of(engine), CLASSES, Settings(threads=2, queue_size=3)), go)


def test_large_photos_leave_room_for_small_ones() -> None:
    large, go, seen = GOOD + bytes(400_000), threading.Event(), list[NDArray[np.uint8]]()

    async def scenario(predictor: Predictor) -> None:
        asked = [asyncio.create_task(predictor.predict(large)) for _ in range(6)]
        await asyncio.sleep(0)
        assert predictor.full(len(large)), "three quarters of the places are taken"
        with pytest.raises(OverloadedError):
            await predictor.predict(large)
        assert not predictor.full(len(GOOD))
        small = [asyncio.create_task(predictor.predict(GOOD)) for _ in range(2)]
        await asyncio.sleep(0)
        assert predictor.full(len(GOOD))
        go.set()
        assert {each.likely_class for each in await asyncio.gather(*asked, *small)} == {LEMON}
        assert not predictor.full(len(large))

    run(scenario, Predictor(engine_of(held(go, seen)), CLASSES, Settings(threads=2, queue_size=6)), go)


def test_shadows_take_no_place_from_what_people_wait_for() -> None:
    go = threading.Event()

    def engine(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert go.wait(60)
        return lemon(pixels)

    async def scenario(predictor: Predictor) -> None:
        shadows = [asyncio.create_task(predictor.predict(GOOD, shadow=True)) for _ in range(3)]
        await asyncio.sleep(0)
        assert predictor.full(len(GOOD), shadow=True), "half of the places are taken"
        with pytest.raises(OverloadedError):
            await predictor.predict(GOOD, shadow=True)
        shown = [asyncio.create_task(predictor.predict(GOOD)) for _ in range(6)]
        await asyncio.sleep(0)
        assert predictor.pending == 3 + 6
        assert predictor.full(len(GOOD))
        go.set()
        assert {each.likely_class for each in await asyncio.gather(*shadows, *shown)} == {LEMON}
        assert not predictor.pending

    run(scenario, Predictor(engine_of(engine), CLASSES, Settings(threads=2, queue_size=4)), go)


def test_shadows_are_refused_where_all_places_are_taken() -> None:
    go, seen = threading.Event(), list[NDArray[np.uint8]]()

    async def scenario(predictor: Predictor) -> None:
        shown = [asyncio.create_task(predictor.predict(GOOD)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await predictor.predict(GOOD, shadow=True)
        go.set()
        await asyncio.gather(*shown)
        assert (await predictor.predict(GOOD, shadow=True)).likely_class == LEMON

    run(scenario, Predictor(engine_of(held(go, seen)), CLASSES, Settings(threads=1, queue_size=1)), go)


def held(go: threading.Event, seen: list[NDArray[np.uint8]]) -> Score:
    """An engine that answers when it may, and remembers what it was asked."""

    def engine(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append(pixels)
        assert go.wait(30)
        return lemon(pixels)

    return engine


def test_nobody_waits_longer_than_the_queue_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.predictor._WAIT_S", 0.2)
    go, seen = threading.Event(), list[NDArray[np.uint8]]()

    async def scenario(predictor: Predictor) -> None:
        first = asyncio.create_task(predictor.predict(GOOD))
        await asyncio.to_thread(eventually, lambda: seen)
        with pytest.raises(OverloadedError):
            await predictor.predict(GOOD)
        assert not first.done()
        go.set()
        assert (await first).likely_class == LEMON
        assert (await predictor.predict(GOOD)).likely_class == LEMON

    run(scenario, Predictor(engine_of(held(go, seen)), CLASSES, Settings(threads=1)), go)
    assert len(seen) == 2, "the one that waited too long was read all the same"


def test_a_photo_that_nobody_waits_for_is_not_read() -> None:
    go, seen = threading.Event(), list[NDArray[np.uint8]]()

    async def scenario(predictor: Predictor) -> None:
        first, second = (asyncio.create_task(predictor.predict(GOOD)) for _ in range(2))
        await asyncio.to_thread(eventually, lambda: seen)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        go.set()
        assert (await first).likely_class == LEMON
        assert not predictor.pending

    run(scenario, Predictor(engine_of(held(go, seen)), CLASSES, Settings(threads=1)), go)
    assert len(seen) == 1


def reading_pid(orders: list[_Order]) -> int:
    """The process that is at the first order, once that is known to be a photo that takes long; 0 before."""
    return orders[0].reading._worker.pid if orders and orders[0].heavy and orders[0].reading else 0


@pytest.mark.skipif(sys.platform != "linux", reason="what a process is at is read from /proc")
def test_a_photo_that_nobody_waits_for_any_more_is_given_up_in_the_middle() -> None:
    orders: list[_Order] = []

    class Watched(Predictor):
        def _predict(self, order: _Order) -> Prediction:
            orders.append(order)
            return super()._predict(order)

    async def scenario(predictor: Predictor) -> None:
        asked = asyncio.create_task(predictor.predict(rle_bitmap()))
        pid = await asyncio.to_thread(eventually, lambda: reading_pid(orders))
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await asyncio.to_thread(eventually, lambda: not Path(f"/proc/{pid}").exists(), 4)
        await asyncio.to_thread(eventually, lambda: not predictor.pending)

    run(scenario, Watched(engine_of(lemon), CLASSES, Settings(threads=1)))


def test_photos_that_take_long_wait_for_each_other_only() -> None:
    heavy, go, seen = encoded(Image.new("L", (3000, 2000), 7), "PNG"), threading.Event(), list[NDArray[np.uint8]]()
    holds = held(go, seen)

    def engine(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return holds(pixels) if pixels.max() == 7 else lemon(pixels)

    async def scenario(predictor: Predictor) -> None:
        first = asyncio.create_task(predictor.predict(heavy))
        await asyncio.to_thread(eventually, lambda: seen)
        with pytest.raises(OverloadedError):
            await predictor.predict(heavy)
        assert (await predictor.predict(GOOD)).likely_class == LEMON
        assert not first.done()
        go.set()
        assert (await first).likely_class == LEMON
        assert (await predictor.predict(heavy)).likely_class == LEMON

    run(scenario, Predictor(engine_of(engine), CLASSES, Settings(threads=1, queue_size=3)), go)


def test_photos_that_wait_for_the_model_are_answered_together() -> None:
    go, sizes = threading.Event(), list[int]()

    def scores(photos: NDArray[np.uint8]) -> NDArray[np.float32]:
        sizes.append(len(photos))
        assert go.wait(60)
        return np.stack([lemon(photo) for photo in photos])

    async def scenario(predictor: Predictor) -> None:
        asked = [asyncio.create_task(predictor.predict(GOOD)) for _ in range(4)]
        await asyncio.to_thread(eventually, lambda: len(together._waiting) == 3)
        go.set()
        assert {prediction.likely_class for prediction in await asyncio.gather(*asked)} == {LEMON}

    together = Together(scores, batch=3)
    # One thread reads; those that are read wait in others.
    run(scenario, Predictor(engine_of(together, batch=3), CLASSES, Settings(threads=1)), go)
    assert sizes == [1, 3]


def test_broken_photos_take_up_no_room() -> None:
    async def scenario(predictor: Predictor) -> None:
        for _ in range(3):
            with pytest.raises(PhotoError):
                await predictor.predict(b"no photo")
        assert (await predictor.predict(GOOD)).likely_class == LEMON

    run(scenario, Predictor(engine_of(lemon), CLASSES, Settings(threads=1, queue_size=0)))


@pytest.mark.parametrize("scores", [(np.nan, 0.5, 0.5), (0.5, 0.5), (0.2, 0.2, 0.2)])
def test_an_engine_whose_first_answer_is_none_is_not_served(scores: tuple[float, ...]) -> None:
    predictor = Predictor(engine_of(lambda _: np.array(scores, np.float32)), CLASSES, Settings(threads=1))
    try:
        with pytest.raises(ModelError, match=r"fake 1\.0 answers a photo with .* serve with ENGINE=torch"):
            predictor.warm_up()
    finally:
        predictor.close()


def test_warming_up_asks_the_engine_once() -> None:
    seen: list[NDArray[np.uint8]] = []

    def engine(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append(pixels)
        return lemon(pixels)

    predictor = Predictor(engine_of(engine), CLASSES, Settings(threads=1))
    predictor.warm_up()
    predictor.close()

    assert [(pixels.shape, pixels.dtype) for pixels in seen] == [((150, 150, 3), np.dtype(np.uint8))]
