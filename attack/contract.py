"""Schemathesis against the description of the API, with all its checks."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Contract", "check"]

_SEED = 12
_PATIENCE_S = 900
# A file that fits the description need not be a photo, an id need not be that of a prediction, and a client that asks
# this often may be told to wait. A visitor is turned away, or sent to log in, before what was sent is looked at.
_CONFIG = """[checks.positive_data_acceptance]
expected-statuses = ["2xx", 303, 400, 401, 403, 404, 409, 413, 422, 429, 503]

[checks.negative_data_rejection]
expected-statuses = ["4xx", 303, 503]
"""


@dataclass(frozen=True)
class Contract:
    """How many requests were made, and what was wrong with an answer, one line each."""

    requests: int
    failures: list[str]


def check(url: str, folder: Path, examples: int, token: str) -> Contract:
    """So many requests of each operation, and those that go through its description, as a visitor and as an operator.

    Raises ``RuntimeError`` where Schemathesis does not come to an end of its own.
    """
    config = folder / "schemathesis.toml"
    config.write_text(_CONFIG)
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config), "run"]
    options = ["--checks", "all", "--seed", str(_SEED), "--no-color", "--max-examples", str(examples)]
    options += ["--request-timeout", "90", "--suppress-health-check", "all", "--no-shrink"]
    command += [f"{url}/openapi.json", *options]
    visitor = _run(command, folder)
    operator = _run([*command, "--header", f"Authorization: Bearer {token}"], folder)
    failures = [f"visitor: {line}" for line in visitor.failures] + [f"operator: {line}" for line in operator.failures]
    return Contract(visitor.requests + operator.requests, failures)


def _run(command: list[str], folder: Path) -> Contract:
    done = subprocess.run(
        command,
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
    )
    found = re.search(r"^  ([\d,]+) generated", done.stdout, re.MULTILINE)
    if done.returncode not in (0, 1) or not found:
        raise RuntimeError(f"Schemathesis: {done.stdout[-2000:]} {done.stderr[-2000:]}")
    failures = re.findall(r"^_+ ([A-Z]+ \S+) _+$|^- (ST\d+ .*)$", done.stdout, re.MULTILINE)
    lines, operation = [], ""
    for heading, failure in failures:
        operation = heading or operation
        if failure:
            lines.append(f"{operation}: {failure}")
    return Contract(int(found[1].replace(",", "")), lines)
