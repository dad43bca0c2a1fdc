"""``make pin``: the digests of the base images, from the registry into ``.env``, where Compose finds them.

A tag may come to mean another image; a digest never does. Without them Compose builds on the tags, as it has to on a
machine that sees no registry.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

__all__ = ["BASES", "main", "pin"]

ROOT = Path(__file__).parents[1]
BASES = {"PYTHON_IMAGE": "python:3.11-slim-bookworm", "NGINX_IMAGE": "nginx:1.31"}
"""The build arguments of the images, and the tags they default to."""


def pin(tag: str) -> str:
    """The image that a tag means at its registry now, as tag and digest.

    Raises ``OSError`` where there is no Docker, ``RuntimeError`` where the registry does not say.
    """
    pulled = subprocess.run(["docker", "pull", "--quiet", tag], check=False, capture_output=True, text=True)  # noqa: S603, S607
    if pulled.returncode:
        raise RuntimeError(pulled.stderr.strip().splitlines()[-1])
    inspect = ["docker", "image", "inspect", "--format", "{{json .RepoDigests}}", tag]
    digests = json.loads(subprocess.run(inspect, check=True, capture_output=True, text=True).stdout)  # noqa: S603
    if not digests:
        raise RuntimeError("it is of this machine's own making, so that no registry knows it")
    return f"{tag}@{digests[0].partition('@')[2]}"


def write(path: Path, pinned: dict[str, str]) -> None:
    """Puts the settings into a file of them; the others in it stay."""
    lines = path.read_text().splitlines() if path.is_file() else []
    kept = [line for line in lines if not re.match(rf"({'|'.join(pinned)})=", line)]
    path.write_text("".join(f"{line}\n" for line in [*kept, *(f"{name}={image}" for name, image in pinned.items())]))


def main() -> int:
    pinned = {}
    for name, tag in BASES.items():
        try:
            pinned[name] = pin(tag)
        except (OSError, RuntimeError) as error:
            print(f"{tag} was not pinned: {error}. Nothing was changed.", file=sys.stderr)
            return 1
    write(ROOT / ".env", pinned)
    print("\n".join(f"{name}={image}" for name, image in pinned.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
