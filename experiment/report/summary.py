"""The report in a few words: how it stands, what is well, how much is still to come, and how to begin."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any, Literal

from abtest.typed import in_full
from experiment.statistics import messages
from variants import CLASSES

__all__ = ["Chip", "State", "chips", "first_steps", "state"]

Facts = Mapping[str, Any]
State = Literal["running", "decided", "invalid", "guardrail"]

_LONGEST_S = 365 * 86400.0


def state(report: Facts) -> State:
    """How the experiment stands, in a word."""
    if report["guardrail"]["latched"]:
        return "guardrail"
    outcome = report["verdict"]["outcome"]
    return "running" if outcome == "keep_going" else "invalid" if outcome == "invalid" else "decided"


@dataclass(frozen=True)
class Chip:
    """One thing that is well (``ok``), is not, or is open (None). ``until`` is a time in seconds since 1970."""

    ok: bool | None
    text: str
    until: float | None = None


def chips(report: Facts) -> list[Chip]:
    """Whether the split is fair, what the guardrails say, and how many labels are to come."""
    splits = [check["ok"] for check in report["checks"] if check["name"].startswith("split")]
    fair = False if False in splits else True if True in splits else None
    found = [Chip(fair, {True: "Split fair", False: "Split not fair", None: "Split not checked yet"}[fair])]
    states = [check["state"] for check in report["guardrail"]["checks"]]
    if report["guardrail"]["latched"]:
        found.append(Chip(False, "A guardrail acted"))
    elif {"breach", "above"} & set(states):
        found.append(Chip(False, "A guardrail is above its limit"))
    else:
        found.append(
            Chip(True if "ok" in states else None, "Guardrails" if "ok" in states else "Guardrails: too little seen")
        )
    return [*found, *_to_go(report)]


def _to_go(report: Facts) -> list[Chip]:
    verdict, plan = report["verdict"], report["experiment"]
    if verdict["outcome"] == "invalid":
        return [Chip(False, "No number of labels decides")]
    if verdict["outcome"] != "keep_going":
        return [Chip(True, "Decided")]
    missing = max(plan["minimum_labels"] - verdict["labels"], 0)
    needed = verdict["labels_needed"]
    if needed is None:
        return [
            Chip(None, f"At least {missing:,} labels to go", _when(report, missing))
            if missing
            else Chip(None, "How many labels to go is open")
        ]
    count = max(needed["likely"], missing)
    return [Chip(None, f"About {messages.about(count)} labels to go", _when(report, count))]


def _when(report: Facts, labels: int) -> float | None:
    """When so many more labels are there, if they come as they did since half of them were; None beyond a year."""
    curve, now = report["curve"], report["now"]
    if not curve["labels"] or not labels:
        return None
    half = len(curve["labels"]) // 2
    given, since = curve["labels"][-1] - curve["labels"][half], now - curve["ts"][half]
    if given < 3 or since <= 0:
        return None
    ahead = labels * since / given
    return float(now + ahead) if ahead < _LONGEST_S else None


def first_steps(abtest: str, url: str) -> list[tuple[str, str]]:
    """Three ways to labels, each with a command that runs as it stands; ``url`` is where the system answers."""
    label = CLASSES[-1]
    photo = f'file=@"$(ls sample_data/{quote(label)}/*.jpg | head -n 1)"'
    said = quote(json.dumps({"request_id": "first", "true_label": label}, ensure_ascii=False))
    ask = f"curl -F {photo} -H 'X-Request-ID: first' {url}/predict"
    say = f"curl -H 'Content-Type: application/json' -d {said} {url}/feedback"
    return [
        (
            "Send a folder of photos whose folders say what they show",
            in_full("abtest replay sample_data --label-from-folder", abtest),
        ),
        (
            "Let both variants score every photo, and ask people on the result page",
            in_full("abtest split --pair", abtest),
        ),
        ("Label from a program, by the id of the answer", f"{ask} && {say}"),
    ]
