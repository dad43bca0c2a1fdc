"""``/experiment/split``: what is in force and was; and changes."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError

from experiment.control.changes import UndecidedError
from experiment.control.splits import Entry, StaleError
from experiment.service import Service
from experiment.web.schemas import failures
from traffic.split import Rule, Shadow, Split, SplitError, make_split

__all__ = ["routes"]

_MOST = 50
_T = TypeVar("_T")

_AWAY = {503: "The database, or a gateway, is away: nothing was changed."}
_REFUSED = {401: "The token is missing or wrong.", 409: "The split changed meanwhile.", 422: "There is no such split."}

routes = APIRouter(prefix="/experiment/split", tags=["traffic"])


class WantedShadow(BaseModel):
    """A variant that also scores ``sample`` percent of what others answer."""

    model_config = ConfigDict(extra="forbid")

    variant: str
    sample: float = 100


class WantedSplit(BaseModel):
    """A change of the split. It names the epoch ``against`` which it was made; ``action`` says what else is needed.

    ``split`` takes ``rule``, ``shares`` in percent, ``shadow``, ``sample`` (of a pair) and ``random``; ``promote``
    takes ``variant``; ``rollback`` nothing.
    """

    model_config = ConfigDict(extra="forbid")

    against: Annotated[int, Field(ge=0)]
    action: Literal["split", "promote", "rollback"]
    by: Annotated[str, Field(max_length=200)] = ""
    reason: Annotated[str, Field(max_length=1000)] = ""
    rule: Rule = "weighted"
    shares: dict[str, float] = {}
    shadow: WantedShadow | None = None
    sample: float = 100
    random: bool = False
    variant: str = ""


@routes.get("", responses=failures(_AWAY))
async def current(request: Request) -> dict[str, Any]:
    """The split in force, the one asked for, those before, and the gateways that follow."""
    service: Service = request.app.state.service
    return await asyncio.to_thread(_explained, lambda: _state(service))


def _state(service: Service) -> dict[str, Any]:
    asked = service.changes.splits.asked()
    return {
        "in_force": service.changes.splits.in_force().as_json(),
        "asked": asked.as_json() if asked else None,
        "history": [entry.as_json() for entry in service.changes.splits.history()[-_MOST:]],
        "variants": service.changes.names,
        "list_problem": service.list_file.problem,
        "gateways": [
            {"name": gateway.name, "epoch": gateway.epoch, "hung": gateway.hung, "low": gateway.low}
            for gateway in service.changes.gateways.present()
        ],
    }


@routes.post("", responses=failures(_AWAY | _REFUSED))
async def change(request: Request, wanted: WantedSplit) -> dict[str, Any]:
    """Changes the split; answers once every gateway serves it."""
    service: Service = request.app.state.service
    entry = await asyncio.to_thread(_explained, lambda: _change(service, wanted))
    return entry.as_json()


def _change(service: Service, wanted: WantedSplit) -> Entry:
    changes = service.changes
    if wanted.action == "rollback":
        return changes.roll_back(wanted.against, wanted.by, wanted.reason)

    def make(before: Entry) -> tuple[Split, None]:
        if wanted.action == "promote":
            return make_split("weighted", {wanted.variant: 100}, changes.names, before=before.split), None
        shadow = Shadow(wanted.shadow.variant, wanted.shadow.sample) if wanted.shadow else None
        shares = wanted.shares
        if wanted.rule == "pair":
            shadow = Shadow(None, wanted.sample)
            shares = shares or {service.plan.control: 50, service.plan.candidate: 50}
        split = make_split(wanted.rule, shares, changes.names, shadow, before.split, random=wanted.random)
        return split, None

    return changes.make(wanted.action, wanted.against, make, wanted.by, wanted.reason)


def _explained(act: Callable[[], _T]) -> _T:
    try:
        return act()
    except StaleError as error:
        raise HTTPException(HTTPStatus.CONFLICT, str(error)) from None
    except SplitError as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
    except UndecidedError as error:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from None
    except SQLAlchemyError:
        raise HTTPException(
            HTTPStatus.SERVICE_UNAVAILABLE, "The database does not answer. Nothing was changed; try again in a moment."
        ) from None
