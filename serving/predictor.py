"""Photos to predictions, off the event loop and no more at once than the machine can take."""

import asyncio
import hashlib
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np

from .models.engine import Engine
from .models.examine import examine_answer
from .models.samples import sample
from .photos.errors import HeavyPhotoError
from .photos.job import Job
from .photos.pool import Pool, Reading
from .places import OverloadedError, Places
from .settings import Settings

__all__ = ["Prediction", "Predictor"]

_PREVIEW_SIDE = 800
# The shorter side of a photo that is kept: enough for people to tell what it shows.
_KEPT_SIDE = 300
# With the time that a photo may take once it has begun, less than nginx waits for an answer.
_WAIT_S, _HEAVY_WAIT_S = 5, 3
# Bytes that are copied in less time than a thread takes to wake up.
_SMALL = 300_000


@dataclass
class _Order:
    """One photo on its way through; ``dropped`` once nobody waits for it."""

    data: bytes
    job: Job
    must_begin: float
    shadow: bool
    reading: Reading | None = None
    heavy: bool = False
    dropped: bool = False


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

    Photos that take long to read have one more thread, in which they are read one after the other, and a quarter of the
    places to wait in: others do not wait for them. A ``shadow`` is a copy of a request that another variant answers.
    """

    def __init__(self, engine: Engine, classes: tuple[str, ...], settings: Settings) -> None:
        self._score = engine.score
        self._view = engine.input.view
        self._description = engine.description
        self._classes = classes
        self._keeps = settings.keep_images is not None
        self._max_pixels = settings.max_pixels
        self._count = settings.threads
        self._places = Places(settings.threads + settings.queue_size)
        self._heavy_places = Places(1 + settings.queue_size // 4)
        self._pool = Pool(settings.threads, settings.max_pixels)
        # Besides those that read, as many as may wait to be answered together.
        threads = settings.threads + (engine.batch if engine.batch > 1 else 0)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="predict")
        self._heavy_thread = ThreadPoolExecutor(1, thread_name_prefix="predict-heavy")

    def full(self, shadow: bool = False) -> bool:
        """Whether there is no room for another photo."""
        return self._places.full(shadow)

    @property
    def pending(self) -> int:
        """The photos that are being read or scored, or wait for it."""
        return self._places.taken

    async def predict(self, data: bytes, with_preview: bool = False, shadow: bool = False) -> Prediction:
        """The prediction for an uploaded file, with the photo as a JPEG for a page where wished.

        Raises ``PhotoError`` for bytes that are no photo, ``OverloadedError`` when too many wait, of shadows half as
        many. Once it is cancelled, a photo that waits is not read any more.
        """
        self._places.take(shadow)
        at_least = max(_PREVIEW_SIDE if with_preview else _KEPT_SIDE if self._keeps else 0, self._view.side)
        longest = _PREVIEW_SIDE if with_preview or self._keeps else None
        order = _Order(data, Job(self._view, self._max_pixels, at_least, longest), perf_counter() + _WAIT_S, shadow)
        # Where a thread is free, too, the photo need not wait until that has woken up.
        if self.pending <= self._count and len(data) < _SMALL:
            order.reading = self._pool.begin_at_once(data, order.job)
        try:
            return await self._run(order, self._threads)
        except HeavyPhotoError:
            if self._heavy_places.full(shadow):
                raise OverloadedError from None
            self._heavy_places.hold(shadow)
            order.heavy, order.reading = True, None
            order.must_begin += _HEAVY_WAIT_S - _WAIT_S
            try:
                return await self._run(order, self._heavy_thread)
            finally:
                self._heavy_places.leave(shadow)
        finally:
            self._places.leave(shadow)

    def warm_up(self) -> None:
        """Makes the first prediction, which is slower than the rest; raises ``ModelError`` where it is none."""
        examine_answer(self._score(sample(self._view)), len(self._classes), self._description)

    def close(self) -> None:
        self._threads.shutdown()
        self._heavy_thread.shutdown()
        self._pool.close()

    async def _run(self, order: _Order, threads: Executor) -> Prediction:
        work: Future[Prediction] = threads.submit(self._predict, order)
        answer = asyncio.wrap_future(work)
        left = order.must_begin - perf_counter()
        too_late = None if order.reading else asyncio.get_running_loop().call_later(left, work.cancel)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                raise OverloadedError from None
            order.dropped = True
            if order.reading or not work.cancel():
                # It keeps its place until it has come to its end, which is soon.
                if order.reading:
                    order.reading.stop()
                self._places.hold(order.shadow)
                answer.add_done_callback(partial(self._forget, order.shadow))
            raise
        finally:
            if too_late:
                too_late.cancel()

    def _forget(self, shadow: bool, answer: "asyncio.Future[Prediction]") -> None:
        self._places.leave(shadow)
        if not answer.cancelled():
            answer.exception()  # nobody else asks for it, and asyncio would say so

    def _predict(self, order: _Order) -> Prediction:
        start = perf_counter()
        reading = order.reading = order.reading or self._pool.begin(order.data, order.job, order.heavy)
        if order.dropped:
            reading.stop()
        sha256 = hashlib.sha256(order.data).hexdigest()
        photo = reading.result()
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
