"""``POST /feedback``: what was really on the photo."""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError

from experiment.labels import LABELS, Given, give_label
from experiment.ledger import REQUEST_ID, Line
from experiment.pages import message_page
from experiment.service import Service

__all__ = ["Arrivals", "routes"]

# nginx writes a line when all is done, the shadow's answer too, while people have theirs already.
_PATIENCE_S = 3.0
_MOST_WAITING = 256
_MOST_BYTES = 4096

routes = APIRouter()


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


@routes.post("/feedback", status_code=HTTPStatus.CREATED)
async def feedback(request: Request) -> Response:
    """Takes a label as JSON, or from a form, which is answered with a page."""
    is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    try:
        request_id, label = await _read(request, is_form)
        await _give(request.app.state.service, request.app.state.arrivals, request_id, label)
    except HTTPException as error:
        if not is_form:
            raise
        return message_page(request, "That did not work", str(error.detail), error.status_code)
    if is_form:
        return message_page(request, "Thank you", f"Noted: {label}. Every answer helps to find the better model.")
    return JSONResponse({"request_id": request_id, "true_label": label}, HTTPStatus.CREATED)


async def _read(request: Request, is_form: bool) -> tuple[str, str]:
    if is_form and request.headers.get("sec-fetch-site") == "cross-site":
        raise HTTPException(HTTPStatus.FORBIDDEN, "Feedback is given on this site's own pages.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Feedback is a few hundred bytes at most.")
    fields: Any = None
    with suppress(ValueError, RecursionError):
        fields = {name: values[0] for name, values in parse_qs(body.decode()).items()} if is_form else json.loads(body)
    if not isinstance(fields, dict):
        raise HTTPException(
            HTTPStatus.UNPROCESSABLE_ENTITY, 'Send a JSON object: {"request_id": "…", "true_label": "…"}.'
        )
    request_id, label = fields.get("request_id"), fields.get("true_label")
    if not isinstance(label, str) or label not in LABELS:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"true_label must be one of {', '.join(LABELS)}.")
    if not isinstance(request_id, str) or not REQUEST_ID.fullmatch(request_id):
        raise HTTPException(
            HTTPStatus.UNPROCESSABLE_ENTITY, "request_id must be the X-Request-ID of the answer to a prediction."
        )
    return request_id, label


async def _give(service: Service, arrivals: Arrivals, request_id: str, label: str) -> None:
    """Raises ``HTTPException`` where the label is not taken."""
    asked = time.monotonic()
    given = await _attempt(service, request_id, label)
    if given is Given.UNKNOWN:
        if arrivals.full:
            raise _busy("Too much feedback waits for its predictions. Try again in a moment.")
        arrival = arrivals.expect(request_id)
        try:
            service.follower.hurry()
            # Its line may have come between the two.
            given = await _attempt(service, request_id, label)
            if given is Given.UNKNOWN:
                with suppress(TimeoutError):
                    await asyncio.wait_for(arrival, _PATIENCE_S)
                given = await _attempt(service, request_id, label)
        finally:
            arrivals.forget(request_id, arrival)
    if given is Given.UNKNOWN:
        if service.follower.caught_up < asked:
            raise _busy("The ledger is still being read. Try again in a moment.")
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no prediction with this request_id.")
    if given is Given.ALREADY:
        raise HTTPException(HTTPStatus.CONFLICT, "This prediction has a label already; the first one stands.")


async def _attempt(service: Service, request_id: str, label: str) -> Given:
    try:
        return await asyncio.to_thread(give_label, service.database, request_id, label)
    except SQLAlchemyError:
        raise _busy("The database does not answer. Try again in a moment.") from None


def _busy(detail: str) -> HTTPException:
    return HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "1"})
