"""One model, loaded or on its way: its weights, its predictor, its numbers."""

import asyncio
import logging
import signal
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from variants import CLASSES

from .engine import open_engine
from .metrics import Metrics
from .photos import pool
from .photos.kept import Photos
from .predictor import Predictor
from .settings import Settings
from .weights import WeightsError, WeightsFile, choose

__all__ = ["ServedVariant", "Variant"]

log = logging.getLogger("serving")


@dataclass(frozen=True)
class Variant:
    """What a variant's folder states: its name, where its weights lie, and the module that builds its network.

    That module (``model``, a dotted name, imported only when a network has to be built) holds ``build(state)`` and,
    where the network can be made simpler without changing its answers, ``simplify(network)``. A ``large`` network is
    held in memory once, and in 8-bit integers where they are faster; another is held once for each thread.
    """

    name: str
    artifacts: Path
    published: str
    model: str
    large: bool = False


class ServedVariant:
    """A variant at work, ready once ``predictor`` is there. ``receiving``: bytes of uploads that are not whole yet."""

    def __init__(self, variant: Variant, settings: Settings) -> None:
        self.name = variant.name
        self.settings = settings
        self.metrics = Metrics(variant.name)
        self.photos = Photos(settings.keep_images, settings.keep_images_mb) if settings.keep_images else None
        self.weights: WeightsFile | None = None
        self.engine = ""
        self.receiving = 0
        self.predictor: Predictor | None = None
        self.variant = variant

    async def load(self) -> None:
        """Loads and warms the model; where it cannot be had, says why and ends the process."""
        start = perf_counter()
        try:
            self.predictor = await asyncio.to_thread(self.open)
        except (WeightsError, OSError) as error:
            log.error("%s cannot start: %s", self.name, error)  # noqa: TRY400  (the sentence says it all)
        except Exception:
            log.exception("%s cannot start", self.name)
        if self.predictor:
            log.info("%s ready after %.1f s", self.name, perf_counter() - start)
        else:
            # Not SIGTERM, after which the first process of a container would end with status 0.
            signal.raise_signal(signal.SIGINT)

    def open(self) -> Predictor:
        """The predictor, warm; raises ``WeightsError`` where there are no weights or they do not fit."""
        self.weights = choose(self.variant.artifacts, self.variant.published)
        pool.prepare()
        log.info("%s weights=%s sha256=%s", self.name, self.weights.path.name, self.weights.sha256)
        engine, self.engine = open_engine(self.variant.model, self.weights, self.settings, self.variant.large)
        log.info("%s engine=%r threads=%d", self.name, self.engine, self.settings.threads)
        predictor = Predictor(engine, CLASSES, self.settings)
        predictor.warm_up()
        return predictor

    def close(self) -> None:
        if self.predictor:
            self.predictor.close()
