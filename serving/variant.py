"""One model, loaded or on its way: its weights, its predictor, its numbers."""

import asyncio
import logging
import signal
from pathlib import Path
from time import perf_counter

from variants import CLASSES, VARIANTS

from .metrics import Metrics
from .models.engine import open_engine
from .models.errors import ModelError
from .models.files.choice import WeightsFile, choose
from .models.files.folder import Folder, open_folder
from .pace import Pace
from .photos import pool
from .photos.kept import Photos
from .predictor import Predictor
from .samples import Samples
from .settings import Settings

__all__ = ["ServedVariant", "listed"]

log = logging.getLogger("serving")


def listed(path: Path) -> Folder:
    """The variant in the folder at ``path``, under its name in the list; of one that is not there, the folder's.

    Raises ``ModelError`` where it says what cannot be.
    """
    service = path.resolve().name
    names = {variant.service: variant.name for variant in VARIANTS}
    return open_folder(path, names.get(service, service.removeprefix("app_")), CLASSES)


class ServedVariant:
    """A variant at work, ready once ``predictor`` is there. ``receiving``: bytes of uploads that are not whole yet."""

    def __init__(self, folder: Folder, settings: Settings) -> None:
        self.name = folder.name
        self.folder = folder
        self.settings = settings
        self.metrics = Metrics(folder.name)
        self.samples = Samples(folder.classes)
        self.photos = Photos(settings.keep_images, settings.keep_images_mb) if settings.keep_images else None
        self.weights: WeightsFile | None = None
        self.engine = ""
        self.receiving = 0
        self.pace = Pace(settings.threads)
        self.predictor: Predictor | None = None

    async def load(self) -> None:
        """Loads and warms the model; where it cannot be had, says why and ends the process."""
        start = perf_counter()
        try:
            self.predictor = await asyncio.to_thread(self.open)
        except (ModelError, OSError) as error:
            log.error("%s cannot start: %s", self.name, error)  # noqa: TRY400  (the sentence says it all)
        except Exception:
            log.exception("%s cannot start", self.name)
        if self.predictor:
            log.info("%s ready after %.1f s", self.name, perf_counter() - start)
        else:
            # Not SIGTERM, after which the first process of a container would end with status 0.
            signal.raise_signal(signal.SIGINT)

    def open(self) -> Predictor:
        """The predictor, warm; raises ``ModelError`` where there is no model, or it does not fit."""
        model = choose(self.folder)
        self.weights = model.weights
        pool.prepare()
        log.info("%s weights=%s sha256=%s", self.name, self.weights.path.name, self.weights.sha256)
        engine = open_engine(self.folder, model, self.settings)
        self.engine = engine.description
        together = f" batch={engine.batch}" if engine.batch > 1 else ""
        log.info("%s engine=%r threads=%d%s", self.name, self.engine, self.settings.threads, together)
        predictor = Predictor(engine, self.folder.classes, self.settings)
        predictor.warm_up()
        return predictor

    def close(self) -> None:
        if self.predictor:
            self.predictor.close()
