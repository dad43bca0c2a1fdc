"""The smallest running app of one variant."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from serving.app import create_app
from serving.engine import Engine
from serving.predictor import Predictor
from serving.settings import Settings
from serving.variant import ServedVariant, Variant
from tests.serving.photos import encoded, quarters
from tests.system import eventually

__all__ = ["GOOD", "STARTER", "app_of", "lemon", "predictor_of", "send", "serving", "variant_in"]

GOOD = encoded(quarters(), "JPEG")
STARTER = b"weights that nobody reads"


def lemon(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """An engine that sees lemons only."""
    return np.array([0.1, 0.2, 0.7], np.float32)


def variant_in(artifacts: Path) -> Variant:
    """A variant whose starter lies in ``artifacts``; its network is never built."""
    (artifacts / "starter.safetensors").write_bytes(STARTER)
    return Variant("custom", artifacts, "published.pt", "no.such.module")


@contextmanager
def app_of(variant: Variant, engine: Engine = lemon, **settings: Any) -> Iterator[TestClient]:
    """A running app that may still be loading."""
    with (
        patch("serving.variant.open_engine", return_value=(engine, "fake 1.0")),
        TestClient(create_app(variant, Settings(**{"threads": 1, **settings}))) as client,
    ):
        yield client


@contextmanager
def serving(artifacts: Path, engine: Engine = lemon, **settings: Any) -> Iterator[TestClient]:
    """An app that is ready."""
    with app_of(variant_in(artifacts), engine, **settings) as client:
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
