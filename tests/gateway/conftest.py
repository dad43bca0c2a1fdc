"""Systems whose split may be changed."""

from collections.abc import Iterator

import pytest

from tests.system import System


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system of this module's own."""
    with System(tmp_path_factory.mktemp("traffic")) as started:
        yield started
