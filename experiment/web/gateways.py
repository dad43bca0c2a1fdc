"""What gateways, and whoever runs the variants, ask and say.

On the internal network only: the public server does not pass it on.
"""

import asyncio
import hashlib
import json
import re
from contextlib import suppress
from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from experiment.access.rules import Role
from experiment.control.changes import Changes
from experiment.control.gateways import Gateway
from experiment.record.intake import Written
from experiment.service import Service
from traffic.render import UNRECORDED
from traffic.split import Split

__all__ = ["routes"]

_MOST_BYTES = 65536

routes = APIRouter(prefix="/gateway")

_WRITTEN = re.compile(r"([0-9]{1,12}):([0-9]{1,15}):([0-9]{1,9}),")
_Name = Annotated[str, Query(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


@routes.get("/split")
async def split(
    request: Request,
    gateway: _Name,
    epoch: Annotated[int, Query(ge=0, lt=2**31)] = UNRECORDED,
    have: str = "",
    wait: Annotated[float, Query(ge=0, le=30)] = 0,
    run: str = "",
    hung: str = "",
    low: bool = False,
    written: str = "",
) -> Response:
    """The routes that this gateway should serve; 204 where it does, after waiting up to ``wait`` seconds for others.

    ``have`` is the beginning of the SHA-256 of what it was given before. 409: the record does not know the epoch that
    it serves, so that it should say which split that is. ``written`` are, by run, lines of the ledger and how
    many of nginx's workers were killed; the answer's header names the newest rotated file that was read.
    """
    service: Service = request.app.state.service
    changes = service.changes
    lines = {run: Written(int(n), int(killed)) for run, n, killed in _WRITTEN.findall(written)}
    said = {"have": have, "run": run, "low": low, "hung": tuple(filter(None, hung.split(","))), "written": lines}
    known = changes.gateways.seen(gateway, epoch=epoch, **said)
    until = asyncio.get_running_loop().time() + wait
    with changes.gateways.listening(known) as news:
        while True:
            news.clear()
            try:
                answer = await asyncio.to_thread(_answer, changes, known)
            except SQLAlchemyError:
                answer = None  # what it serves stays good
            left = until - asyncio.get_running_loop().time()
            if answer is None and (left <= 0 or changes.gateways.closed or await request.is_disconnected()):
                answer = Response(status_code=HTTPStatus.NO_CONTENT)
            if answer is not None:
                answer.headers["X-Ledger-Read"] = service.follower.read_to(gateway)
                return answer
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), min(left, 1.0))


def _answer(changes: Changes, gateway: Gateway) -> Response | None:
    """None where there is nothing new for ``gateway``."""
    if gateway.epoch != UNRECORDED and changes.splits.get(gateway.epoch) is None:
        return Response(status_code=HTTPStatus.CONFLICT)
    if changes.offer().epoch == UNRECORDED:
        changes.bring_up_to_date()
    offer = changes.offer()
    digest = hashlib.sha256(offer.routes.encode()).hexdigest()
    if (gateway.have and digest.startswith(gateway.have)) or offer.epoch in gateway.refused:
        return None
    return Response(offer.routes, media_type="text/plain")


@routes.get("/may-force")
async def may_force(request: Request) -> Response:
    """Whether a request may choose its variant, where that is the operator's: 204, else 403."""
    allowed = request.state.role is Role.OPERATOR
    return Response(status_code=HTTPStatus.NO_CONTENT if allowed else HTTPStatus.FORBIDDEN)


@routes.get("/variants")
def listed(request: Request) -> list[dict[str, str | int]]:
    """The variants that gateways serve by now, for whoever runs them."""
    changes: Changes = request.app.state.service.changes
    return [asdict(variant) for variant in changes.variants]


@routes.post("/served")
async def served(request: Request, gateway: _Name) -> Response:
    """Says which split it is that a gateway serves and the record does not know."""
    changes: Changes = request.app.state.service.changes
    try:
        split = Split.from_json(json.loads(await _body(request)))
    except (ValueError, KeyError, TypeError, AttributeError):
        pass  # its epoch is known, and the next one will be greater
    else:
        await asyncio.to_thread(changes.adopt, split, gateway)
    await asyncio.to_thread(changes.bring_up_to_date)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@routes.post("/refusal")
async def refusal(request: Request, gateway: _Name, epoch: Annotated[int, Query(ge=0, lt=2**31)]) -> Response:
    """Says why nginx does not take a split over."""
    changes: Changes = request.app.state.service.changes
    why = (await _body(request)).decode(errors="replace").strip() or "it did not say why"
    changes.gateways.refuse(gateway, epoch, " ".join(why.split()))
    await asyncio.to_thread(changes.settle)
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            break
    return body
