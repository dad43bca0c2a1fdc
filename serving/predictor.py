"""Photos to predictions, off the event loop and no more at once than the machine can take."""

import asyncio
import hashlib
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np

from .models.engine import Engine
from .models.examine import examine_answer
from .models.samples import sample
from .photos.errors import HeavyPhotoError
from .photos.job import Job
from .photos.plain import plain, read_plain
from .photos.pool import Pool, Reading
from .places import OverloadedError, Places
from .settings import LARGE_BYTES, Settings
from .turns import Turns

__all__ = ["Prediction", "Predictor"]

_PREVIEW_SIDE = 800
# The shorter side of a photo that is kept: enough for people to tell what it shows.
_KEPT_SIDE = 300
# With the time that a photo may take once it has begun, less than nginx waits for an answer.
_WAIT_S, _HEAVY_WAIT_S = 5, 3


@dataclass
class _Order:
    """One photo on its way through; ``dropped`` once nobody waits for it."""

    data: bytes
    job: Job
    must_begin: float
    shadow: bool
    places: list[Places]
    reading: Reading | None = None
    heavy: bool = False
    dropped: bool = False

    def hold(self) -> None:
        for places in self.places:
            places.hold(self.shadow)

    def leave(self) -> None:
        for places in self.places:
            places.leave(self.shadow)


@dataclass(frozen=True)
class Prediction:
    """What a model says of one photo; times in seconds."""

    probabilities: dict[str, float]
    image_sha256: str
    decode_s: float
    infer_s: float
    preview: bytes | None = None

    @property
    def likely_class(self) -> str:
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def probability(self) -> float:
        return self.probabilities[self.likely_class]


class Predictor:
    """Runs ``settings.threads`` predictions at once and lets ``settings.queue_size`` more wait.

    Large ones may take three quarters of these places, and let small ones pass. Photos that take long to read have one
    more thread, in which they are read one after the other, and a quarter of the places to wait in: others do not wait
    for them. A ``shadow`` is a copy of a request that another variant answers.
    """

    def __init__(self, engine: Engine, classes: tuple[str, ...], settings: Settings) -> None:
        self._score = engine.score
        self._view = engine.input.view
        self._description = engine.description
        self._classes = classes
        self._keeps = settings.keep_images is not None
        self._max_pixels = settings.max_pixels
        most = settings.threads + settings.queue_size
        self._places = Places(most)
        self._large_places = Places(-(-most * 3 // 4))
        self._heavy_places = Places(1 + settings.queue_size // 4)
        self._pool = Pool(settings.threads, settings.max_pixels)
        # Besides those that read, as many as may wait to be answered together.
        threads = settings.threads + (engine.batch if engine.batch > 1 else 0)
        self._turns = Turns(threads, "predict")
        self._heavy_turns = Turns(1, "predict-heavy")

    def full(self, size: int, shadow: bool = False) -> bool:
        """Whether there is no room for another photo of so many bytes."""
        return any(places.full(shadow) for places in self._places_of(size))

    @property
    def pending(self) -> int:
        """The photos that are being read or scored, or wait for it."""
        return self._places.taken

    async def predict(self, data: bytes, with_preview: bool = False, shadow: bool = False) -> Prediction:
        """The prediction for an uploaded file, with the photo as a JPEG for a page where wished.

        Raises ``PhotoError`` for bytes that are no photo, ``OverloadedError`` when too many wait, of shadows half as
        many. Once it is cancelled, a photo that waits is not read any more.
        """
        if self.full(len(data), shadow):
            raise OverloadedError
        at_least = max(_PREVIEW_SIDE if with_preview else _KEPT_SIDE if self._keeps else 0, self._view.side)
        longest = _PREVIEW_SIDE if with_preview or self._keeps else None
        job = Job(self._view, self._max_pixels, at_least, longest)
        order = _Order(data, job, perf_counter() + _WAIT_S, shadow, self._places_of(len(data)))
        order.hold()
        try:
            return await self._run(order, self._turns)
        except HeavyPhotoError:
            if self._heavy_places.full(shadow):
                raise OverloadedError from None
            order.places.append(self._heavy_places)
            self._heavy_places.hold(shadow)
            order.heavy, order.reading = True, None
            order.must_begin += _HEAVY_WAIT_S - _WAIT_S
            return await self._run(order, self._heavy_turns)
        finally:
            order.leave()

    def warm_up(self) -> None:
        """Makes the first prediction, which is slower than the rest; raises ``ModelError`` where it is none."""
        examine_answer(self._score(sample(self._view)), len(self._classes), self._description)

    def close(self) -> None:
        self._turns.close()
        self._heavy_turns.close()
        self._pool.close()

    def _places_of(self, size: int) -> list[Places]:
        return [self._places, self._large_places] if size > LARGE_BYTES else [self._places]

    async def _run(self, order: _Order, turns: Turns) -> Prediction:
        work = turns.submit(len(order.data), partial(self._predict, order))
        answer = asyncio.wrap_future(work)
        left = order.must_begin - perf_counter()
        too_late = asyncio.get_running_loop().call_later(left, work.cancel)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                raise OverloadedError from None
            order.dropped = True
            if not work.cancel():
                # It keeps its place until it has come to its end, which is soon.
                if order.reading:
                    order.reading.stop()
                order.hold()
                answer.add_done_callback(partial(_forget, order))
            raise
        finally:
            too_late.cancel()

    def _predict(self, order: _Order) -> Prediction:
        start = perf_counter()
        if not plain(order.data):
            order.reading = self._pool.begin(order.data, order.job, order.heavy)
        if order.dropped and order.reading:
            order.reading.stop()
        sha256 = hashlib.sha256(order.data).hexdigest()
        photo = order.reading.result() if order.reading else read_plain(order.data, order.job)
        if order.dropped:
            raise CancelledError
        decoded = perf_counter()
        scores = self._score(photo.pixels)
        return Prediction(
            # Sums to 1 as printed, too: the shares are those of float64.
            probabilities=dict(zip(self._classes, (scores / scores.sum(dtype=np.float64)).tolist(), strict=True)),
            image_sha256=sha256,
            decode_s=decoded - start,
            infer_s=perf_counter() - decoded,
            preview=photo.preview if order.job.preview else None,
        )


def _forget(order: _Order, answer: "asyncio.Future[Prediction]") -> None:
    order.leave()
    if not answer.cancelled():
        answer.exception()  # nobody else asks for it, and asyncio would say so
