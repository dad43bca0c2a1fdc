"""Whether the variant of a folder is ready, for a container: ``python -m serving.health app_mine``."""

import os
import sys
from urllib.request import urlopen

from variants import VARIANTS

__all__ = ["main"]


def main(service: str) -> None:
    """Raises ``OSError`` where it is not ready."""
    port = os.environ.get("PORT") or next(variant.port for variant in VARIANTS if variant.service == service)
    with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
        pass


if __name__ == "__main__":
    main(sys.argv[1])
