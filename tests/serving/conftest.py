from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from serving.settings import Settings
from tests.serving.apps import serving


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside() -> Iterator[None]:
    """What happens to be set where the tests run changes none of them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in Settings.model_fields:
            patch.delenv(name.upper(), raising=False)
        yield


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """An app that is ready and sees lemons only."""
    with serving(tmp_path) as client:
        yield client
