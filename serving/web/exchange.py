"""One request for a prediction, around the endpoint that answers it: its id, its limits, its errors, its log line."""

import asyncio
import json
import logging
import re
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.formparsers import MultiPartParser
from starlette.types import Message, Receive

from ..photos.errors import PhotoError, StarvedError, TooManyPixelsError
from ..places import OverloadedError
from ..predictor import Prediction
from ..settings import LARGE_BYTES, MAX_RECEIVING_BYTES, MAX_UPLOAD_BYTES
from ..turns import when_due
from ..variant import ServedVariant
from .pages import error_response
from .upload import only_file

__all__ = ["Exchange", "PredictionRoute", "unless_left"]

log = logging.getLogger("serving")

_LEFT = "The client left before there was an answer."
_NO_FILE = 'No photo was sent: send it as the field "file" of a multipart form.'
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# What logfmt takes as it is.
_BARE = re.compile(r"""[^\s"=\\]+""")
_TOO_LARGE = f"The upload is larger than {MAX_UPLOAD_BYTES // 1024 // 1024} MB."
_RETRY_AFTER_S = 1
# Most answers come sooner; only a client that has to wait longer is looked after.
_LOOK_AFTER_S = 0.05

T = TypeVar("T")

# Whatever is accepted stays in memory: no detour through a file.
MultiPartParser.spool_max_size = MAX_UPLOAD_BYTES


@dataclass
class Exchange:
    """What is known of one request for a prediction. ``reason`` says why there is none.

    Nobody sees the answer to a ``shadow``, and nobody is to take it for one that was served.
    ``ticket`` is what a page's form sends along, so that whoever takes it knows where it comes from.
    """

    variant: str
    request_id: str
    ticket: str = ""
    shadow: bool = False
    prediction: Prediction | None = None
    reason: str = ""

    def headers(self) -> dict[str, str]:
        """What every answer says, and, of a prediction, what nginx writes into the ledger."""
        headers = {"X-Variant": self.variant, "X-Request-ID": self.request_id}
        if self.prediction is not None:
            # Any text, in the ASCII that headers are made of: as JSON has it between its quotes.
            headers["X-Predicted-Class"] = json.dumps(self.prediction.likely_class)[1:-1]
            headers["X-Probability"] = f"{self.prediction.probability:.6f}"
            headers["X-Image-SHA256"] = self.prediction.image_sha256
        return headers

    def log_line(self, status: int) -> str:
        head = f"{self.variant} request_id={self.request_id}"
        if self.prediction is None:
            return f"{head} error={_value(self.reason)} {status}"
        p = self.prediction
        times = f"decode={1e3 * p.decode_s:.1f}ms infer={1e3 * p.infer_s:.1f}ms"
        return f"{head} class={_value(p.likely_class)} p={p.probability:.2f} {times} {status}"


class PredictionRoute(APIRoute):
    """A route whose endpoint makes a prediction; it finds its ``Exchange`` in ``request.state.exchange``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            served: ServedVariant = request.app.state.served
            given = request.headers.get("x-request-id", "")
            request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
            shadow = request.headers.get("x-by") == "shadow"
            ticket = request.headers.get("x-ticket", "")
            exchange = request.state.exchange = Exchange(served.name, request_id, ticket, shadow)
            try:
                _admit(request, served, shadow)
                whole = _WholeRequest(request.scope, _limited(request.receive))
                # With no parameters to check, FastAPI would take longer than the rest of the exchange.
                response = await (answer if request.scope["query_string"] else self._answer)(whole)
                outcome = "ok"
            except Exception as error:
                status, exchange.reason, outcome = _explain(error)
                if outcome == "failed":
                    log.exception("%s request_id=%s failed", served.name, request_id)
                response = error_response(request, status, exchange.reason)
                if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
                    response.headers["Retry-After"] = str(_RETRY_AFTER_S)
            response.headers.update(exchange.headers())
            served.metrics.count(outcome)
            log.info("%s%s", exchange.log_line(response.status_code), " (shadow)" if shadow else "")
            return response

        return handle

    async def _answer(self, request: Request) -> Response:
        if alone := only_file(request.headers.get("content-type", ""), await request.body()):
            found: Response = await self.endpoint(request, alone)
            return found
        async with request.form() as form:
            file = form.get("file")
            if request.scope["path"] == "/result/" and "sample" in form:
                served: ServedVariant = request.app.state.served
                file = served.samples.upload(str(form["sample"]))
            if not isinstance(file, UploadFile) or not (file.filename or file.size):
                raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, _NO_FILE)
            response: Response = await self.endpoint(request, file)
            return response


async def unless_left(request: Request, work: Awaitable[T]) -> T:
    """What ``work`` comes to; it is cancelled where the client leaves before."""
    task = asyncio.current_task()
    assert task
    left = False

    async def watch() -> None:
        nonlocal left
        while (await request.receive())["type"] != "http.disconnect":
            pass
        left = True
        task.cancel()

    watching: list[asyncio.Task[None]] = []
    timer = asyncio.get_running_loop().call_later(
        _LOOK_AFTER_S, lambda: watching.append(asyncio.create_task(watch(), name="watch"))
    )
    try:
        return await work
    except asyncio.CancelledError:
        if not left:
            raise
        task.uncancel()
        raise HTTPException(HTTPStatus.BAD_REQUEST, _LEFT) from None
    finally:
        timer.cancel()
        for each in watching:
            each.cancel()


class _WholeRequest(Request):
    """A request whose body comes in one piece: a form is read twice as fast so.

    Raises ``OverloadedError`` for a large one where all that are being received come to more than memory is meant for.
    """

    async def stream(self) -> AsyncGenerator[bytes, None]:
        served: ServedVariant = self.app.state.served
        chunks: list[bytes] = []
        held, turn = 0, when_due(_size(self))
        try:
            async for chunk in super().stream():
                held += len(chunk)
                served.receiving += len(chunk)
                if held > LARGE_BYTES and served.receiving > MAX_RECEIVING_BYTES:
                    raise OverloadedError
                if held > LARGE_BYTES:
                    await served.pace.let_pass(turn, len(chunk))
                chunks.append(chunk)
        finally:
            served.receiving -= held
        yield b"".join(chunks)
        yield b""


def _admit(request: Request, served: ServedVariant, shadow: bool) -> None:
    """Turns away what cannot be answered before its body is read."""
    size = _size(request)
    if size > MAX_UPLOAD_BYTES:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
    if served.predictor is None:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "The model is still being loaded.")
    if served.predictor.full(size, shadow):
        raise OverloadedError
    if size <= LARGE_BYTES and not shadow:
        served.pace.small_comes()


def _size(request: Request) -> int:
    """As it says itself, else the most that it may have."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else MAX_UPLOAD_BYTES


def _limited(receive: Receive) -> Receive:
    received = 0

    async def receive_limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_UPLOAD_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
        return message

    return receive_limited


def _value(text: str) -> str:
    """As it stands behind ``key=`` in a log line: in quotes, as JSON, where its end would not be seen."""
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _explain(error: Exception) -> tuple[HTTPStatus, str, str]:
    """The status, the sentence and the outcome to count for what went wrong."""
    match error:
        case OverloadedError() | StarvedError():
            # nginx offers a 503 to the other variant; what outlasted a process here is not for another.
            starved = isinstance(error, StarvedError)
            status = HTTPStatus.TOO_MANY_REQUESTS if starved else HTTPStatus.SERVICE_UNAVAILABLE
            return status, str(error) or "Too many photos are waiting. Try again in a moment.", "overloaded"
        case TooManyPixelsError():
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error), "rejected"
        case PhotoError():
            return HTTPStatus.BAD_REQUEST, str(error), "rejected"
        case RequestValidationError():
            first = error.errors()[0]
            where, message = first["loc"], first["msg"]
            sentence = _NO_FILE if where == ("body", "file") else f"{where[-1]}: {message}."
            return HTTPStatus.UNPROCESSABLE_ENTITY, sentence, "rejected"
        case StarletteHTTPException():  # FastAPI's own among them
            status = HTTPStatus(error.status_code)
            outcome = "overloaded" if status == HTTPStatus.SERVICE_UNAVAILABLE else "rejected"
            return status, str(error.detail), outcome
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here, not with your photo.", "failed"
