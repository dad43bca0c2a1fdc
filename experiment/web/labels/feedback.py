"""``POST /feedback``: what was really on the photo."""

import asyncio
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError

from experiment.access.rules import Role
from experiment.record.labels import CHANGEABLE_S, LABELS, Given, Label, Source, TooLateError, give_label, scored_by
from experiment.record.ledger import PERSON, REQUEST_ID, Line
from experiment.service import Service
from experiment.web.labels.forms import read_fields
from experiment.web.labels.noted import noted_page
from experiment.web.pages import message_page
from experiment.web.schemas import FEEDBACK_BODY, Noted, failures
from variants import clean, one_of

__all__ = ["Arrivals", "routes"]

# nginx writes a line when all is done, the shadow's answer too, while people have theirs already.
_PATIENCE_S = 3.0
# Before nginx gives up: what it answers with 503 must not be stored afterwards.
_ANSWER_S = 8.0
_MOST_WAITING = 256

_COUNTING = (Given.TAKEN, Given.SAME)
_WHY_NOT = {
    Given.AGAIN: "This photo has a label already; a photo counts once.",
    Given.EXCESS: "You have given as many labels as count of one person. Thank you all the same.",
    Given.VISITOR: "It is noted; labels of visitors do not count in this experiment.",
}

_TICKET = re.compile(r"[0-9a-f]{32}")
_FAILURES = {
    200: {
        "model": Noted,
        "content": {"application/json": {}, "text/html": {}},
        "description": "The same label was given before; or a form, answered with a page.",
    },
    **failures(
        {
            401: "Only an operator may say that a label was given blind.",
            403: "A form on another site, or somebody else's prediction.",
            404: "There is no prediction with this request_id.",
            409: "It has another label already, which stands.",
            413: "More than 4 KB.",
            415: "Neither JSON nor a form.",
            422: "Not understood.",
            429: "Too much at once; Retry-After says when to come back.",
            503: "The database, or the record, is behind: try again in a moment.",
        }
    ),
}

routes = APIRouter(tags=["feedback"])


class Arrivals:
    """Feedback that waits for the ledger line of its request."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    @property
    def full(self) -> bool:
        return sum(map(len, self._waiting.values())) >= _MOST_WAITING

    def seen(self, lines: Sequence[Line]) -> None:
        """Tells those who wait; from any thread."""
        if self._waiting:
            self._loop.call_soon_threadsafe(self._resolve, [line.request_id for line in lines])

    def expect(self, request_id: str) -> asyncio.Future[None]:
        """Done when a line of ``request_id`` comes; ``forget`` it at the end."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.setdefault(request_id, set()).add(future)
        return future

    def forget(self, request_id: str, future: asyncio.Future[None]) -> None:
        waiting = self._waiting[request_id]
        waiting.discard(future)
        if not waiting:
            del self._waiting[request_id]

    def _resolve(self, request_ids: Sequence[str]) -> None:
        for request_id in request_ids:
            for future in self._waiting.get(request_id, ()):
                if not future.done():
                    future.set_result(None)


@dataclass(frozen=True)
class _Said:
    """Feedback as it came."""

    request_id: str
    label: Label


@routes.post(
    "/feedback", status_code=HTTPStatus.CREATED, response_model=Noted, responses=_FAILURES, openapi_extra=FEEDBACK_BODY
)
async def feedback(request: Request) -> Response:
    """Takes a label as JSON, or from a form, which is answered with a page."""
    kind = request.headers.get("content-type", "")
    is_form = kind.startswith("application/x-www-form-urlencoded")
    if kind and not is_form and not kind.startswith("application/json"):
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send JSON as application/json.")
    try:
        said = await _read(request, is_form)
        given = await _give(request.app.state.service, request.app.state.arrivals, said)
    except HTTPException as error:
        if not is_form:
            raise
        return message_page(request, "That did not work", str(error.detail), error.status_code)
    if is_form:
        return await noted_page(request, said.request_id, said.label, _WHY_NOT.get(given, ""))
    service: Service = request.app.state.service
    facts: dict[str, Any] = {
        "request_id": said.request_id,
        "true_label": said.label.label,
        "counts": given in _COUNTING,
        "scored_by": await _scored_by(service, said.request_id),
    }
    if given in _WHY_NOT:
        facts["detail"] = _WHY_NOT[given]
    return JSONResponse(facts, HTTPStatus.OK if given is Given.SAME else HTTPStatus.CREATED)


async def _read(request: Request, is_form: bool) -> _Said:
    service: Service = request.app.state.service
    fields = await read_fields(request, is_form)
    request_id, label, change = fields.get("request_id"), fields.get("true_label"), bool(fields.get("change"))
    label = clean(label) if isinstance(label, str) else label
    takes_back = change and label in ("", None)
    if not takes_back and (not isinstance(label, str) or label not in LABELS):
        what = f"There is no class {label!r}. There are" if is_form and label else "true_label must be one of"
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"{what} {one_of(LABELS)}.")
    if not isinstance(request_id, str) or not REQUEST_ID.fullmatch(request_id):
        raise HTTPException(
            HTTPStatus.UNPROCESSABLE_ENTITY, "request_id must be the X-Request-ID of the answer to a prediction."
        )
    ticket = fields.get("ticket") or None
    if ticket is not None and not (isinstance(ticket, str) and _TICKET.fullmatch(ticket)):
        raise HTTPException(
            HTTPStatus.UNPROCESSABLE_ENTITY, "ticket must be the X-Ticket of the answer to a prediction."
        )
    role: Role = request.state.role
    visitor = service.settings.access == "token" and role is Role.VISITOR
    if visitor and ticket is None:
        raise HTTPException(
            HTTPStatus.FORBIDDEN,
            "Only who got the answer may say what the photo showed: send its X-Ticket along, as the field ticket.",
        )
    if change and request.app.state.answers.were_shown(request_id):
        raise HTTPException(HTTPStatus.CONFLICT, "The label stands: what the variants answered was shown.")
    # An operator speaks for as many people as he likes, and may say that they had seen no answer.
    trusted = role is Role.OPERATOR
    if fields.get("blind") and not trusted:
        raise HTTPException(HTTPStatus.UNAUTHORIZED, "Only an operator's token may say that a label was given blind.")
    source: Source = "blind" if fields.get("blind") else "seen"
    person = request.headers.get("x-person", "")
    labeller = person if not trusted and PERSON.fullmatch(person) else None
    shown = bytes.fromhex(ticket) if ticket else None
    return _Said(request_id, Label(None if takes_back else label, source, labeller, change, shown, visitor))


async def _give(service: Service, arrivals: Arrivals, said: _Said) -> Given:
    """Raises ``HTTPException`` where the label is not taken."""
    asked = time.monotonic()
    given = await _attempt(service, said, asked)
    if given is Given.UNKNOWN:
        if arrivals.full:
            raise _busy("Too much feedback waits for its predictions. Try again in a moment.")
        arrival = arrivals.expect(said.request_id)
        try:
            service.follower.hurry()
            # Its line may have come between the two.
            given = await _attempt(service, said, asked)
            if given is Given.UNKNOWN:
                with suppress(TimeoutError):
                    await asyncio.wait_for(arrival, _PATIENCE_S)
                given = await _attempt(service, said, asked)
        finally:
            arrivals.forget(said.request_id, arrival)
    if given is Given.UNKNOWN:
        if service.follower.caught_up < asked:
            raise _busy("The ledger is still being read. Try again in a moment.")
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no prediction with this request_id.")
    if given is Given.ANOTHER:
        raise HTTPException(HTTPStatus.FORBIDDEN, "This ticket belongs to another prediction.")
    if given is Given.ALREADY:
        raise HTTPException(
            HTTPStatus.CONFLICT,
            "This prediction has another label already, which stands."
            + ("" if said.label.change else f" Within {CHANGEABLE_S / 60:.0f} minutes it can be changed on the page."),
        )
    return given


async def _scored_by(service: Service, request_id: str) -> list[str]:
    try:
        found = await asyncio.to_thread(scored_by, service.database, request_id)
    except SQLAlchemyError:
        found = []
    if len(found) < 2:
        # Whoever asks again soon should find what another variant says by then.
        service.follower.hurry()
    return found


async def _attempt(service: Service, said: _Said, asked: float) -> Given:
    try:
        return await asyncio.to_thread(give_label, service.database, said.request_id, said.label, asked + _ANSWER_S)
    except (SQLAlchemyError, TooLateError):
        raise _busy("The database does not answer. Try again in a moment.") from None


def _busy(detail: str) -> HTTPException:
    return HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "1"})
