"""How the command is typed where it runs, so that what it suggests runs as it is printed."""

import os
import re
import shutil
import sys
from pathlib import Path
from textwrap import wrap

__all__ = ["in_full", "in_lines", "prefix"]

# What follows "abtest" in a sentence where that is a command, not the name of one.
_NAMES = "split|promote|rollback|status|report|replay|simulate|new|variants|redeploy|token|forget"
_COMMAND = re.compile(rf"(?<![\w./-])abtest (?=(?:{_NAMES})\b)")
# The whole of one: to the quote, the mark or the end that ends it.
_WHOLE = re.compile(rf"(?<![\w./-])(?:abtest (?:{_NAMES})\b|docker-compose )(?:[^`;,).]|\.(?!\s|$))*")
# In a container, the folder has to be brought along.
_REPLAY = re.compile(r"(?<=abtest replay )sample_data\b")
# Stands for a space at which no line may end.
_KEPT = "\0"


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


def in_lines(text: str, width: int, command: str, url: str = "") -> str:
    """The same in lines of ``width``, none of which ends within a command: that is copied in one piece."""
    kept = _WHOLE.sub(lambda found: in_full(found[0], command, url).replace(" ", _KEPT), text)
    lines = wrap(kept, width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace(_KEPT, " ")
