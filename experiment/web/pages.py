"""What people see: the report, the photos to label, and a word of thanks."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from fastapi import Request, Response
from fastapi.templating import Jinja2Templates

from experiment.record.labels import LABELS, Label
from experiment.report import charts

__all__ = ["STATIC", "message_page", "render_page", "thanks_page"]

STATIC = Path(__file__).with_name("static")

_templates = Jinja2Templates(Path(__file__).with_name("templates"))
_templates.env.globals["charts"] = charts
_templates.env.trim_blocks = _templates.env.lstrip_blocks = True


def _moment(ts: float, form: Literal["", "iso"] = "") -> str:
    moment = datetime.fromtimestamp(ts, UTC)
    return moment.isoformat(timespec="seconds") if form else f"{moment:%d %b %Y, %H:%M:%S}"


def _duration(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def _evidence(e_value: float) -> str:
    return "above a million" if e_value > 1e6 else f"{e_value:,.0f}" if e_value >= 9.5 else f"{e_value:.1f}"


def _chance(probability: float | None) -> str:
    if probability is None:
        return "–"
    return "< 0.1 %" if probability < 0.001 else "> 99.9 %" if probability > 0.999 else f"{100 * probability:.1f} %"


def _certainty(verdict: Mapping[str, float]) -> float:
    """How far the evidence has come, from 0 to 1, on the scale on which it adds up."""
    reached = math.log(max(verdict["e_value"], 1)) / math.log(verdict["e_value_needed"])
    return min(1.0, reached)


_templates.env.filters |= {
    "moment": _moment,
    "duration": _duration,
    "evidence": _evidence,
    "chance": _chance,
    "certainty": _certainty,
}
# Pages hold nothing from another host, and nothing may be slipped into them.
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def render_page(request: Request, template: str, context: dict[str, Any], status: int = 200) -> Response:
    context["logged_in"] = getattr(request.state, "logged_in", False)
    return _templates.TemplateResponse(request, template, context, status, _HEADERS)


def message_page(request: Request, title: str, sentence: str, status: int = 200) -> Response:
    return render_page(request, "message.html", {"title": title, "sentence": sentence}, status)


def thanks_page(request: Request, request_id: str, given: Label) -> Response:
    """What was noted, and a way to change it."""
    ticket = given.ticket.hex() if given.ticket else ""
    context = {"request_id": request_id, "ticket": ticket, "label": given.label, "labels": LABELS}
    return render_page(request, "thanks.html", context)
