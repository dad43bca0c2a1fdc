"""The smallest running app of one variant."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from serving.models.engine import Engine
from serving.models.files.folder import Folder
from serving.models.files.spec import Input, Spec
from serving.predictor import Predictor
from serving.settings import Settings
from serving.variant import ServedVariant
from serving.web.app import create_app
from tests.serving.photos import encoded, quarters
from tests.system import eventually
from variants import CLASSES

__all__ = [
    "CLASSES",
    "GOOD",
    "STARTER",
    "Score",
    "app_of",
    "engine_of",
    "lemon",
    "predictor_of",
    "send",
    "serving",
    "variant_in",
]

GOOD = encoded(quarters(), "JPEG")
STARTER = b"weights that nobody reads"
Score = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""One photo to one row of scores."""


def lemon(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Sees lemons only."""
    return np.array([0.1, 0.2, 0.7], np.float32)


def engine_of(score: Score, batch: int = 1) -> Engine:
    """An engine without a model."""
    return Engine(
        lambda photos: np.stack([score(photo) for photo in photos]), score, Input(size=150), "fake 1.0", batch
    )


def variant_in(folder: Path, classes: tuple[str, ...] = CLASSES) -> Folder:
    """A variant in ``folder``, with a starter whose network is never built."""
    (folder / "artifacts").mkdir(exist_ok=True)
    (folder / "artifacts" / "starter.safetensors").write_bytes(STARTER)
    return Folder("custom", folder, classes, Spec(input=Input(size=150)))


@contextmanager
def app_of(variant: Folder, score: Score = lemon, **settings: Any) -> Iterator[TestClient]:
    """A running app that may still be loading."""
    with (
        patch("serving.variant.open_engine", return_value=engine_of(score)),
        TestClient(create_app(variant, Settings(**{"threads": 1, **settings}))) as client,
    ):
        yield client


@contextmanager
def serving(folder: Path, score: Score = lemon, **settings: Any) -> Iterator[TestClient]:
    """An app that is ready."""
    with app_of(variant_in(folder), score, **settings) as client:
        eventually(lambda: client.get("/readyz").is_success)
        yield client


def predictor_of(client: TestClient) -> Predictor:
    served: ServedVariant = client.app.state.served  # type: ignore[attr-defined]
    assert served.predictor is not None
    return served.predictor


def send(
    client: TestClient, data: bytes = GOOD, path: str = "/predict", name: str = "photo.jpg", **options: Any
) -> Any:
    """Posts a photo as a browser would."""
    return client.post(path, files={"file": (name, data, "image/jpeg")}, **options)
