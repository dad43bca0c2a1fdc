"""What became of a label, as a page; and, once it is given, what each variant had answered."""

import asyncio
import time
from dataclasses import dataclass
from hmac import compare_digest
from http import HTTPStatus

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.exc import SQLAlchemyError

from experiment.access.rules import Role
from experiment.record.intake import known_requests
from experiment.record.labels import CHANGEABLE_S, Label, count_labels, scored_by
from experiment.service import Service
from experiment.web.labels.forms import read_fields
from experiment.web.pages import message_page, render_page
from experiment.web.schemas import REQUEST_ID_BODY, failures

__all__ = ["Answers", "noted_page", "routes"]

_PATIENCE_S = 3.0
_AWAY = "The database does not answer. Try again in a moment."

_FAILURES = failures(
    {
        403: "A form on another site.",
        404: "There is no labelled prediction with this request_id that is yours.",
        413: "More than 4 KB.",
        422: "Not understood.",
        503: "The database is away.",
    },
    page=True,
)

routes = APIRouter(tags=["feedback"])


class Answers:
    """Requests whose answers were shown to who labelled them, so that their labels stand; of the last ten minutes."""

    def __init__(self) -> None:
        self._shown: dict[str, float] = {}

    def show(self, request_id: str) -> None:
        now = time.monotonic()
        self._shown = {name: at for name, at in self._shown.items() if now - at < CHANGEABLE_S}
        self._shown[request_id] = now

    def were_shown(self, request_id: str) -> bool:
        return request_id in self._shown


@dataclass(frozen=True)
class _Noted:
    """A label as it stands: why it does not count, until when it may be undone, and what else there is to know.

    ``more_answers``: another variant scores photos, too. ``labels`` is how many were given so far.
    """

    label: str | None
    why_not: str = ""
    undo_until: float | None = None
    answers: dict[str, str] | None = None
    more_answers: bool = False
    labels: int = 0


async def noted_page(request: Request, request_id: str, given: Label, why_not: str = "") -> Response:
    """Says that a label was noted, or taken back."""
    try:
        said = await asyncio.to_thread(_look_up, request, request_id, why_not)
    except SQLAlchemyError:
        said = None  # it was stored all the same
    return _page(request, request_id, said or _Noted(given.label, why_not), given.ticket.hex() if given.ticket else "")


@routes.post("/feedback/answers", response_class=HTMLResponse, responses=_FAILURES, openapi_extra=REQUEST_ID_BODY)
async def answers(request: Request) -> Response:
    """What every variant that scored a labelled photo said of it, as a page; from then on its label stands."""
    shown: Answers = request.app.state.answers
    try:
        fields = await read_fields(request, is_form=True)
        request_id, ticket = fields.get("request_id", ""), fields.get("ticket", "")
        await _await_other(request, request_id)
        said = await asyncio.to_thread(_look_up, request, request_id, show=shown, ticket=ticket)
    except HTTPException as error:
        return message_page(request, "That did not work", str(error.detail), error.status_code)
    except SQLAlchemyError:
        return message_page(request, "One moment", _AWAY, HTTPStatus.SERVICE_UNAVAILABLE)
    if said is None or said.label is None:
        sentence = "There is no labelled prediction with this request_id that is yours."
        return message_page(request, "That did not work", sentence, HTTPStatus.NOT_FOUND)
    return _page(request, request_id, said, ticket)


async def _await_other(request: Request, request_id: str) -> None:
    """Waits a moment until the other variant's answer is in the record, too; it may be slower than people."""
    service: Service = request.app.state.service
    if service.changes.splits.in_force().split.shadow is None:
        return
    until = time.monotonic() + _PATIENCE_S
    while len(await asyncio.to_thread(scored_by, service.database, request_id)) == 1 and time.monotonic() < until:
        service.follower.hurry()
        await asyncio.sleep(0.2)


def _page(request: Request, request_id: str, said: _Noted, ticket: str) -> Response:
    return render_page(request, "thanks.html", {"request_id": request_id, "said": said, "ticket": ticket})


def _look_up(
    request: Request, request_id: str, why_not: str = "", show: Answers | None = None, ticket: str = ""
) -> _Noted | None:
    service: Service = request.app.state.service
    with service.database.read() as connection:
        row = known_requests(connection, [request_id]).get(request_id)
        labels = count_labels(connection, row.experiment) if row else 0
    # With tokens, visitors are told of their own requests, and nothing of how the experiment stands.
    visitor = service.settings.access == "token" and request.state.role is Role.VISITOR
    if row is None or (show and visitor and not (row.ticket and compare_digest(ticket, row.ticket.hex()))):
        return None
    if show and row.label is not None:
        show.show(request_id)
    stands = request.app.state.answers.were_shown(request_id)
    until = (row.labelled or 0) + CHANGEABLE_S
    found = row.answers()
    return _Noted(
        row.label,
        why_not,
        until if not stands and until > time.time() else None,
        found if stands and row.label is not None else None,
        # The line of the other answer may be yet to come.
        len(found) > 1 or service.changes.splits.in_force().split.shadow is not None,
        0 if visitor else labels,
    )
