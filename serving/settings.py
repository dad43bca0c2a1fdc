"""What an operator may set, from environment variables of the same names in upper case."""

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["LARGE_BYTES", "MAX_RECEIVING_BYTES", "MAX_UPLOAD_BYTES", "Settings"]

# The same number as nginx's client_max_body_size.
MAX_UPLOAD_BYTES = 10 * 1024 * 1024
# A larger one leaves room for others, and may wait longer.
LARGE_BYTES = 300_000
# Of all uploads that are being received together; those that wait to be read are bounded by their number.
MAX_RECEIVING_BYTES = 10 * MAX_UPLOAD_BYTES

_Positive = Annotated[int, Field(gt=0)]


def _cores() -> int:
    """Cores this process may use: its affinity, and a container's quota (cgroup v2) where one is set."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))


class Settings(BaseSettings):
    """A variant's settings; raises ``pydantic.ValidationError`` on a value that is none.

    ``device``, where set, counts instead of what ``variant.toml`` says. Where ``feedback_url`` is set, result pages ask
    there what the photo showed. Where ``keep_images`` is set, photos are kept in that folder (``yes``: in
    ``images_dir``), small, under their request ids, the newest ``keep_images_mb`` of them.
    """

    model_config = SettingsConfigDict(env_ignore_empty=True)

    engine: Literal["openvino", "torch"] = "openvino"
    device: Literal["cpu", "cuda"] | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(gt=0, le=65535)] | None = None
    threads: _Positive = Field(default_factory=_cores)
    queue_size: Annotated[int, Field(ge=0)] = 16
    max_pixels: _Positive = 50_000_000
    cache_dir: Path = Path(".cache")
    feedback_url: str = ""
    keep_images: Path | None = None
    images_dir: Path = Path(".run/images")
    keep_images_mb: _Positive = 500

    @model_validator(mode="after")
    def _where_images_are(self) -> Self:
        if str(self.keep_images) == "yes":
            self.keep_images = self.images_dir
        return self
