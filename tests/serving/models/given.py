"""The two given variants, and conversion without a process of its own."""

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from local.parts import ROOT
from serving.models import cache
from serving.settings import Settings
from serving.variant import listed

__all__ = ["CUSTOM", "VGG16", "converting_here", "settings"]

CUSTOM, VGG16 = (listed(ROOT / service) for service in ("app_custom", "app_vgg16"))


def settings(folder: Path, **others: Any) -> Settings:
    """With the cache in ``folder``."""
    return Settings(threads=2, cache_dir=folder, **others)


@contextmanager
def converting_here() -> Iterator[None]:
    """Conversion in this process, which has PyTorch already: a new one takes seconds to import it."""
    with (
        patch.object(cache, "ProcessPoolExecutor", lambda workers, _: ThreadPoolExecutor(workers)),
        warnings.catch_warnings(action="ignore", category=DeprecationWarning),  # of what OpenVINO asks of PyTorch
    ):
        yield
