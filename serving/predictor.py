"""Photos to predictions, off the event loop and no more at once than the machine can take."""

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from .engine import Engine
from .images import SIDE, decode, jpeg, to_pixels
from .settings import Settings

__all__ = ["OverloadedError", "Prediction", "Predictor"]

_PREVIEW_SIDE = 800
# The shorter side of a photo that is kept: enough to tell a fruit by.
_KEPT_SIDE = 2 * SIDE


class OverloadedError(Exception):
    """As many photos wait as may."""


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
    """Runs ``settings.threads`` predictions at once and lets ``settings.queue_size`` more wait."""

    def __init__(self, engine: Engine, classes: tuple[str, ...], settings: Settings) -> None:
        self._engine = engine
        self._classes = classes
        self._max_pixels = settings.max_pixels
        self._keeps = settings.keep_images is not None
        self._count = settings.threads
        self._limit = settings.threads + settings.queue_size
        self._threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="predict")
        self._pending = 0

    @property
    def full(self) -> bool:
        return self._pending >= self._limit

    async def predict(self, data: bytes, with_preview: bool = False) -> Prediction:
        """The prediction for an uploaded file, with the photo as a JPEG for a page where wished.

        Raises ``PhotoError`` for bytes that are no photo, ``OverloadedError`` when too many wait.
        """
        if self.full:
            raise OverloadedError
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._predict, data, with_preview)
        finally:
            self._pending -= 1

    def warm_up(self) -> None:
        """Makes the first predictions, one for each thread, which are slower than the rest."""
        for _ in range(self._count):
            self._engine(np.zeros((SIDE, SIDE, 3), np.uint8))

    def close(self) -> None:
        self._threads.shutdown()

    def _predict(self, data: bytes, with_preview: bool) -> Prediction:
        start = perf_counter()
        at_least = _PREVIEW_SIDE if with_preview else _KEPT_SIDE if self._keeps else SIDE
        image = decode(data, self._max_pixels, at_least)
        pixels = to_pixels(image)
        decoded = perf_counter()
        scores = self._engine(pixels)
        return Prediction(
            # Sums to 1 as printed, too: the shares are those of float64.
            probabilities=dict(zip(self._classes, (scores / scores.sum(dtype=np.float64)).tolist(), strict=True)),
            image_sha256=hashlib.sha256(data).hexdigest(),
            decode_s=decoded - start,
            infer_s=perf_counter() - decoded,
            preview=jpeg(image, _PREVIEW_SIDE) if with_preview or self._keeps else None,
        )
