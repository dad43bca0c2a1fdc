"""Ray Serve, by its guide on performance: a replica for each core, or one with more threads; ``serve.batch``.

``RAY_SERVE_THROUGHPUT_OPTIMIZED`` is set where this is started, as that guide says for high throughput.
"""

import signal
from typing import Any

import ray
import torch
from fastapi import FastAPI, UploadFile
from ray import serve

from benchmarks.peers.classifier import Classifier, Task, prepare

app = FastAPI()


@serve.deployment
@serve.ingress(app)
class Fruit:
    """One photo at a time; a plain ``def`` runs in the replica's threadpool."""

    def __init__(self, task: Task) -> None:
        self._classifier = Classifier(task)

    @app.post("/predict")
    def predict(self, file: UploadFile) -> dict[str, float]:
        return self._classifier.classify(file.file.read())


batched_app = FastAPI()


@serve.deployment
@serve.ingress(batched_app)
class BatchedFruit:
    """As many photos at a time as have come within 10 ms."""

    def __init__(self, task: Task) -> None:
        self._classifier = Classifier(task)
        self._answer.set_max_batch_size(task.batch)  # type: ignore[attr-defined]

    @serve.batch(batch_wait_timeout_s=0.01)
    async def _answer(self, photos: list[bytes]) -> list[dict[str, float]]:
        return self._classifier(torch.stack([prepare(photo) for photo in photos]))

    @batched_app.post("/predict")
    async def predict(self, file: UploadFile) -> dict[str, float]:
        answer: dict[str, float] = await self._answer(await file.read())
        return answer


if __name__ == "__main__":
    task = Task.given()
    cores = task.workers * task.threads
    ray.init(num_cpus=cores, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": task.port, "keep_alive_timeout_s": 75})
    deployment: Any = Fruit if task.batch == 1 else BatchedFruit
    serve.run(
        deployment.options(
            num_replicas=task.workers, max_ongoing_requests=100, ray_actor_options={"num_cpus": task.threads}
        ).bind(task),
        logging_config={"enable_access_log": False},
    )
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    serve.shutdown()
    ray.shutdown()
