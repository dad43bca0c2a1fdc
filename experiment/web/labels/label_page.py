"""``/experiment/label``: the photos that control and candidate do not agree on, to be labelled with one key each."""

import random
import time
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from experiment.record.disputed import disputed, labelled
from experiment.record.experiments import Experiments
from experiment.record.intake import known_requests
from experiment.record.labels import CHANGEABLE_S, LABELS, Label, count_labels, give_label
from experiment.record.ledger import REQUEST_ID
from experiment.service import Service
from experiment.web.pages import message_page, render_page
from experiment.web.schemas import failures
from variants import clean, one_of

__all__ = ["routes"]


class _Jpeg(FileResponse):
    media_type = "image/jpeg"


_AWAY = failures({503: "The database is away."}, page=True)
_TAKING = _AWAY | failures({403: "A form on another site."}, page=True) | failures({422: "Not understood."})

routes = APIRouter(prefix="/experiment/label", tags=["labels"])

_Request = Annotated[str, Query(max_length=64)]
_Said = Annotated[str, Form(max_length=64)]
_REPORT = ("/experiment", "Report")


@routes.get("", response_class=HTMLResponse, responses=_AWAY)
@routes.get("/", include_in_schema=False)
def label(request: Request, skip: _Request = "", show: _Request = "", last: _Request = "") -> Response:
    """One photo, at random and without what was answered: neither may sway who looks at it.

    ``skip`` names the photo that was just skipped, ``show`` one to be shown, ``last`` the one labelled before.
    """
    service: Service = request.app.state.service
    photos = service.settings.keep_images
    if photos is None:
        return message_page(
            request,
            "No photos are kept",
            "Start with KEEP_IMAGES=yes to keep photos, small; those on which the variants disagree appear here.",
            ways=[_REPORT],
        )
    try:
        with service.database.read() as connection:
            waiting = disputed(connection, photos)
            before = _labelled_before(connection, last)
            done = count_labels(connection, Experiments.load(connection).latest.id, disputed=True)
    except SQLAlchemyError:
        return _no_database(request)
    others = [name for name in waiting if name != skip]
    if not others:
        return _nothing_left(request, skip if waiting else "")
    shown = show if show in others else random.choice(others)  # noqa: S311  (no secret)
    context = {"request_id": shown, "left": len(waiting), "done": done, "last": before}
    return render_page(request, "label.html", context)


@routes.post("", status_code=303, response_class=RedirectResponse, responses=_TAKING)
def take(request: Request, request_id: _Said, true_label: Annotated[str, Form(max_length=200)]) -> Response:
    """Takes the label and shows the next photo."""
    service: Service = request.app.state.service
    label = clean(true_label)
    if label not in LABELS:
        sentence = f"There is no class {label!r}. There are {one_of(LABELS)}."
        return message_page(request, "That did not work", sentence, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        give_label(service.database, request_id, Label(label, "page"))
    except SQLAlchemyError:
        return _no_database(request)
    # One that has a label by now, or is no more, needs no word: the next photo matters.
    return _go_on("last", request_id)


@routes.post("/undo", status_code=303, response_class=RedirectResponse, responses=_TAKING)
def undo(request: Request, request_id: _Said) -> Response:
    """Takes the label back, where it was given here in the last ten minutes, and shows the photo again."""
    service: Service = request.app.state.service
    try:
        with service.database.read() as connection:
            before = _labelled_before(connection, request_id)
        if before:
            give_label(service.database, request_id, Label(None, "page", change=True))
    except SQLAlchemyError:
        return _no_database(request)
    return _go_on("show", request_id)


@routes.get(
    "/done",
    response_class=HTMLResponse,
    responses=_AWAY | failures({404: "There is no experiment of that number."}, page=True),
)
def done(request: Request, experiment: Annotated[int | None, Query(alias="id", ge=1, le=2**31 - 1)] = None) -> Response:
    """Photos that both scored differently, with their label and both answers."""
    service: Service = request.app.state.service
    photos = service.settings.keep_images
    try:
        with service.database.read() as connection:
            known = Experiments.load(connection)
            wanted = next((each for each in known if each.id == experiment), None) if experiment else known.latest
            rows = labelled(connection, wanted) if wanted else []
    except SQLAlchemyError:
        return _no_database(request)
    if wanted is None:
        return message_page(request, "There is no report", "There is no experiment of that number.", 404, [_REPORT])
    found = [
        {
            "request_id": row.request_id,
            "label": row.label,
            "answers": row.answers(),
            "kept": photos is not None and (photos / f"{row.request_id}.jpg").is_file(),
        }
        for row in rows
    ]
    return render_page(request, "done.html", {"found": found, "control": wanted.plan.control})


@routes.get("/photo/{request_id}", response_class=_Jpeg, responses=failures({404: "There is no such photo."}))
def photo(request: Request, request_id: str) -> Response:
    """A kept photo."""
    photos: Path | None = request.app.state.service.settings.keep_images
    if photos is None or not REQUEST_ID.fullmatch(request_id) or not (photos / f"{request_id}.jpg").is_file():
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such photo.")
    headers = {"Cache-Control": "private, max-age=300", "X-Content-Type-Options": "nosniff"}
    return _Jpeg(photos / f"{request_id}.jpg", headers=headers)


def _labelled_before(connection: Connection, request_id: str) -> dict[str, Any] | None:
    """What was said on this page of a request, if that may still be undone."""
    row = known_requests(connection, [request_id]).get(request_id) if request_id else None
    if row is None or row.source != "page" or time.time() - (row.labelled or 0) > CHANGEABLE_S:
        return None
    return {"request_id": request_id, "label": row.label}


def _go_on(how: str, request_id: str) -> Response:
    known = REQUEST_ID.fullmatch(request_id)
    return RedirectResponse(f"/experiment/label{f'?{how}={request_id}' if known else ''}", HTTPStatus.SEE_OTHER)


def _nothing_left(request: Request, skipped: str) -> Response:
    if skipped:
        again = (f"/experiment/label?show={skipped}", "Show it again")
        return message_page(
            request, "That was the only one", "No other photo waits for a label.", ways=[again, _REPORT]
        )
    sentence = "The variants agree on every photo that has no label yet."
    return message_page(request, "Nothing to label", sentence, ways=[_REPORT, ("/experiment/label/done", "Those done")])


def _no_database(request: Request) -> Response:
    sentence = "The database does not answer. Try again in a moment."
    return message_page(request, "One moment", sentence, 503, [("/experiment/label", "Try again")])
