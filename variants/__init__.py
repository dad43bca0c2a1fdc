"""The list of variants: their names, services and ports, and the classes they tell apart."""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CLASSES", "VARIANTS", "Variant"]


@dataclass(frozen=True)
class Variant:
    """One deployed model: the name people use, the service (folder and host name) that runs it, and its port."""

    name: str
    service: str
    port: int


# Another list, for a system beside this one.
_path = Path(os.environ.get("VARIANTS") or Path(__file__).with_name("variants.toml"))
_listed = tomllib.loads(_path.read_text())

CLASSES: tuple[str, ...] = tuple(_listed["classes"])
# Where another copy on this machine has the ports that are listed, make run moves all of them up.
_shift = int(os.environ.get("PORT_SHIFT") or 0)
VARIANTS: tuple[Variant, ...] = tuple(
    Variant(entry["name"], entry["service"], entry["port"] + _shift) for entry in _listed["variant"]
)
