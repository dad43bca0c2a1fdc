"""How the command is typed where it runs, so that what it suggests runs as it is printed."""

import os
import re
import shutil
import sys
from pathlib import Path

__all__ = ["in_full", "prefix"]

# What follows "abtest" in a sentence where that is a command, not the name of one.
_NAMES = "split|promote|rollback|status|report|replay|simulate|new|variants|redeploy|token|forget"
_COMMAND = re.compile(rf"(?<![\w./-])abtest (?=(?:{_NAMES})\b)")
# In a container, the folder has to be brought along.
_REPLAY = re.compile(r"(?<=abtest replay )sample_data\b")


def prefix() -> str:
    """The command as it was called, or as ``ABTEST_COMMAND`` says, which a container has no other way to know."""
    if said := os.environ.get("ABTEST_COMMAND"):
        return said
    called = Path(sys.argv[0])
    if called.name != "abtest":
        return "python -m abtest"
    return "abtest" if shutil.which("abtest") == sys.argv[0] else sys.argv[0]


def in_full(text: str, command: str, url: str = "") -> str:
    """``text`` with each ``abtest`` in it as it is typed; ``url`` where the command was told where the system is.

    >>> in_full("Next: abtest promote vgg16", ".venv/bin/abtest")
    'Next: .venv/bin/abtest promote vgg16'
    """
    if command.startswith("docker") and _REPLAY.search(text):
        brought = command.replace(" exec -T ", " exec ").replace(
            " exec ", ' run --rm -T -v "$PWD/sample_data:/photos:ro" '
        )
        text, command = _REPLAY.sub("/photos", text), brought
    said = f"{command} --url {url} " if url else f"{command} "
    return _COMMAND.sub(lambda _: said, text)
