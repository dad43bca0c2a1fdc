"""``/experiment/label``: the photos that control and candidate do not agree on, to be labelled with one key each."""

import random
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import FileResponse, RedirectResponse
from sqlalchemy.exc import SQLAlchemyError

from experiment.record.disputed import disputed
from experiment.record.labels import LABELS, Label, give_label
from experiment.record.ledger import REQUEST_ID
from experiment.service import Service
from experiment.web.pages import message_page, render_page
from variants import clean, one_of

__all__ = ["routes"]

routes = APIRouter(prefix="/experiment/label")


@routes.get("")
@routes.get("/", include_in_schema=False)
def label(request: Request) -> Response:
    """One photo, at random and without what was answered: neither may sway who looks at it."""
    service: Service = request.app.state.service
    photos = service.settings.keep_images
    if photos is None:
        return message_page(
            request, "No photos are kept", "Set KEEP_IMAGES to keep photos; those the variants disagree on appear here."
        )
    try:
        with service.database.read() as connection:
            waiting = disputed(connection, photos)
    except SQLAlchemyError:
        return message_page(request, "One moment", "The database does not answer. Try again in a moment.", 503)
    if not waiting:
        return message_page(request, "Nothing to label", "The variants agree on every photo that has no label yet.")
    shown = random.choice(waiting)  # noqa: S311  (no secret)
    return render_page(request, "label.html", {"request_id": shown, "left": len(waiting), "labels": LABELS})


@routes.post("")
def take(
    request: Request, request_id: Annotated[str, Form(max_length=64)], true_label: Annotated[str, Form(max_length=200)]
) -> Response:
    """Takes the label and shows the next photo."""
    service: Service = request.app.state.service
    label = clean(true_label)
    if label not in LABELS:
        sentence = f"There is no class {label!r}. There are {one_of(LABELS)}."
        return message_page(request, "That did not work", sentence, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        give_label(service.database, request_id, Label(label, "page"))
    except SQLAlchemyError:
        return message_page(request, "One moment", "The database does not answer. Try again in a moment.", 503)
    # One that has a label by now, or is no more, needs no word: the next photo matters.
    return RedirectResponse("/experiment/label", HTTPStatus.SEE_OTHER)


@routes.get("/photo/{request_id}")
def photo(request: Request, request_id: str) -> Response:
    """A kept photo."""
    photos: Path | None = request.app.state.service.settings.keep_images
    if photos is None or not REQUEST_ID.fullmatch(request_id) or not (photos / f"{request_id}.jpg").is_file():
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such photo.")
    headers = {"Cache-Control": "private, max-age=300", "X-Content-Type-Options": "nosniff"}
    return FileResponse(photos / f"{request_id}.jpg", media_type="image/jpeg", headers=headers)
