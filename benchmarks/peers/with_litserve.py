"""LitServe, by its guides on batching and on speed.

Workers for each device, ZeroMQ as the queue; batches are made ready in a pool of threads.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import litserve
import torch
from fastapi import Request
from torch import Tensor

from benchmarks.peers.classifier import Classifier, Task, prepare


class FruitAPI(litserve.LitAPI):
    def __init__(self, task: Task) -> None:
        super().__init__(max_batch_size=task.batch, batch_timeout=0.01 if task.batch > 1 else 0.0)
        self._task = task

    def setup(self, device: str) -> None:
        self._classifier = Classifier(self._task)
        self._pool = ThreadPoolExecutor(self._task.threads)

    def decode_request(self, request: Request) -> Any:
        data = request["file"].file.read()
        return data if self._task.batch > 1 else prepare(data)

    def batch(self, inputs: list[bytes]) -> Tensor:
        return torch.stack(list(self._pool.map(prepare, inputs)))

    def predict(self, x: Tensor) -> Any:
        return self._classifier(x) if self._task.batch > 1 else self._classifier(x.unsqueeze(0))[0]

    def unbatch(self, output: list[dict[str, float]]) -> list[dict[str, float]]:
        return output

    def encode_response(self, output: dict[str, float]) -> dict[str, float]:
        return output


if __name__ == "__main__":
    task = Task.given()
    server = litserve.LitServer(
        FruitAPI(task), accelerator="cpu", workers_per_device=task.workers, fast_queue=True, timeout=120
    )
    server.run(
        host="127.0.0.1",
        port=task.port,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
        timeout_keep_alive=75,
    )
