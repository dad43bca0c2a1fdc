"""The variants there are, and the classes they tell apart, as this process found them when it started."""

import os
import sys
from pathlib import Path

from variants.listing import OTHER, ListError, Listing, Variant, clean, one_of, read_listing

__all__ = [
    "CLASSES",
    "LABELS",
    "NAMES",
    "OTHER",
    "PATH",
    "TITLE",
    "VARIANTS",
    "ListError",
    "Listing",
    "Variant",
    "clean",
    "one_of",
    "read_listing",
]

PATH = Path(os.environ.get("VARIANTS") or Path(__file__).with_name("variants.toml"))
"""The list; ``VARIANTS`` names another, for a system beside this one."""

try:
    _listing = read_listing(PATH)
except ListError as error:
    sys.exit(str(error))  # no part can do anything without it

CLASSES = _listing.classes
LABELS = (*CLASSES, OTHER)
VARIANTS = _listing.variants
NAMES = tuple(variant.name for variant in VARIANTS)
TITLE = _listing.title
