import asyncio
import hashlib
import logging
import signal
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.models.engine import Engine
from serving.models.files.choice import Model
from serving.models.files.folder import Folder
from serving.models.networks.weights import WeightsError
from serving.settings import Settings
from serving.variant import ServedVariant
from tests.classes import LEMON
from tests.serving.apps import GOOD, STARTER, engine_of, lemon, variant_in


@pytest.fixture(autouse=True)
def raised() -> Iterator[list[int]]:
    """The signals that the process would have had."""
    signals: list[int] = []
    with patch("signal.raise_signal", signals.append):
        yield signals


def _errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_loads_and_says_what_it_serves(tmp_path: Path, caplog: pytest.LogCaptureFixture, raised: list[int]) -> None:
    caplog.set_level(logging.INFO, "serving")
    served = ServedVariant(variant_in(tmp_path), Settings(threads=2))
    assert served.predictor is None

    with patch("serving.variant.open_engine", return_value=engine_of(lemon)):
        asyncio.run(served.load())

    digest = hashlib.sha256(STARTER).hexdigest()
    assert caplog.messages[:2] == [
        f"custom weights=starter.safetensors sha256={digest}",
        "custom engine='fake 1.0' threads=2",
    ]
    assert caplog.messages[2].startswith("custom ready after ")
    assert served.predictor is not None
    assert asyncio.run(served.predictor.predict(GOOD)).likely_class == LEMON
    assert raised == []
    served.close()


def test_is_not_ready_before_it_is_warm(tmp_path: Path) -> None:
    served = ServedVariant(variant_in(tmp_path), Settings(threads=1))
    ready: list[bool] = []

    def engine(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        ready.append(served.predictor is not None)
        return lemon(pixels)

    with patch("serving.variant.open_engine", return_value=engine_of(engine)):
        asyncio.run(served.load())

    assert ready == [False]
    served.close()


def test_takes_the_published_file_where_there_is_one(tmp_path: Path) -> None:
    opened: list[Model] = []

    def open_engine(folder: Folder, model: Model, settings: Settings) -> Engine:
        opened.append(model)
        return engine_of(lemon)

    served = ServedVariant(variant_in(tmp_path), Settings(threads=1))
    (tmp_path / "artifacts" / "published.pt").write_bytes(b"published")
    with patch("serving.variant.open_engine", open_engine):
        asyncio.run(served.load())

    assert [model.file for model in opened] == ["published.pt"]
    assert served.weights == opened[0].weights
    served.close()


@pytest.mark.parametrize(
    "error",
    [
        WeightsError("a.pt does not fit the model: fc1.bias is missing"),
        PermissionError(13, "Permission denied", "/srv/a.pt"),
    ],
)
def test_ends_the_process_with_one_line_where_there_are_no_weights_to_serve(
    error: Exception, tmp_path: Path, caplog: pytest.LogCaptureFixture, raised: list[int]
) -> None:
    served = ServedVariant(variant_in(tmp_path), Settings())

    with patch("serving.variant.open_engine", side_effect=error):
        asyncio.run(served.load())

    assert _errors(caplog) == [f"custom cannot start: {error}"]
    assert "Traceback" not in caplog.text
    assert raised == [signal.SIGINT]
    assert served.predictor is None
    served.close()


def test_ends_the_process_with_a_traceback_where_nobody_knows_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, raised: list[int]
) -> None:
    served = ServedVariant(variant_in(tmp_path), Settings())

    with patch("serving.variant.open_engine", side_effect=RuntimeError("the compiler gave up")):
        asyncio.run(served.load())

    assert _errors(caplog) == ["custom cannot start"]
    assert "RuntimeError: the compiler gave up" in caplog.text
    assert raised == [signal.SIGINT]
