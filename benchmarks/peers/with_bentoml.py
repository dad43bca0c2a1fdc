"""BentoML, by its guides on workers and on adaptive batching; ``bentoml serve`` starts it."""

from pathlib import Path
from typing import Annotated

import bentoml
import torch
from bentoml.validators import ContentType

from benchmarks.peers.classifier import Classifier, Task, prepare

task = Task.given()
service = bentoml.service(
    workers=task.workers,
    threads=max(2, task.threads),
    traffic={"timeout": 120},
    logging={"access": {"enabled": False}},
)
Photo = Annotated[Path, ContentType("image/*")]

if task.batch == 1:

    @service
    class Fruit:
        """One photo at a time on each thread."""

        def __init__(self) -> None:
            self._classifier = Classifier(task)

        @bentoml.api
        def predict(self, file: Photo) -> dict[str, float]:
            return self._classifier.classify(file.read_bytes())

else:

    @service
    class Fruit:  # type: ignore[no-redef]
        """As many photos at a time as wait, within bounds that BentoML adapts."""

        def __init__(self) -> None:
            self._classifier = Classifier(task)

        @bentoml.api(batchable=True, max_batch_size=task.batch, max_latency_ms=120_000)
        def predict(self, file: list[Photo]) -> list[dict[str, float]]:
            return self._classifier(torch.stack([prepare(photo.read_bytes()) for photo in file]))
