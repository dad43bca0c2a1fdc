"""What people see: the report, the photos to label, and what became of a label."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from fastapi import Request, Response

from experiment.report import charts
from look.pages import Pages

__all__ = ["PAGES", "message_page", "render_page"]

PAGES = Pages(Path(__file__).parent, "/experiment/static", cache="no-store")

_MOST_MISTAKES = 12
_HOME = ("/", "Another photo")


def _moment(ts: float, form: Literal["", "iso"] = "") -> str:
    moment = datetime.fromtimestamp(ts, UTC)
    return moment.isoformat(timespec="seconds") if form else f"{moment:%d %b %Y, %H:%M:%S}"


def _clock(ts: float) -> str:
    return f"{datetime.fromtimestamp(ts, UTC):%H:%M}"


def _projected(ts: float, now: float) -> str:
    """When something is expected, as exactly as that can be said."""
    moment = datetime.fromtimestamp(ts, UTC)
    return f"{moment:%H:%M} UTC" if ts - now < 12 * 3600 else f"{moment:%d %b %Y}".lstrip("0")


def _points(difference: float) -> str:
    number = f"{100 * difference:g}"
    return f"{number} point{'s' if number != '1' else ''}"


def _mistakes(rows: Mapping[str, Mapping[str, int]]) -> list[tuple[str, str, int]]:
    """The most frequent pairs of label and wrong answer, with their numbers."""
    wrong = [(label, answer, n) for label, of in rows.items() for answer, n in of.items() if label != answer]
    return sorted(wrong, key=lambda each: -each[2])[:_MOST_MISTAKES]


def _duration(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def _evidence(e_value: float) -> str:
    return "above a million" if e_value > 1e6 else f"{e_value:,.0f}" if e_value >= 9.5 else f"{e_value:.1f}"


def _certainty(verdict: Mapping[str, float]) -> float:
    """How far the evidence has come, from 0 to 1, on the scale on which it adds up."""
    reached = math.log(max(verdict["e_value"], 1)) / math.log(verdict["e_value_needed"])
    return min(1.0, reached)


PAGES.templates.env.globals["charts"] = charts
PAGES.templates.env.filters |= {
    "moment": _moment,
    "clock": _clock,
    "projected": _projected,
    "mistakes": _mistakes,
    "points": _points,
    "duration": _duration,
    "evidence": _evidence,
    "certainty": _certainty,
}


def render_page(request: Request, template: str, context: dict[str, Any], status: int = 200) -> Response:
    logged_in = getattr(request.state, "logged_in", False)
    return PAGES.render(request, template, context | {"logged_in": logged_in}, status)


def message_page(
    request: Request, title: str, sentence: str, status: int = 200, ways: Sequence[tuple[str, str]] = (_HOME,)
) -> Response:
    """A sentence, and ``ways`` to go on: addresses and what they are called."""
    tab = "label" if request.url.path.startswith("/experiment/label") else "experiment"
    context = {"title": title, "sentence": sentence, "ways": ways, "failed": status >= 400, "tab": tab}
    return render_page(request, "message.html", context, status)
