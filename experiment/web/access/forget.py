"""``/experiment/forget``: deletes what is known of one request, or of one person."""

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError

from experiment.record.erasure import Erased, erase_person, erase_request
from experiment.service import Service
from experiment.web.schemas import failures

__all__ = ["routes"]

routes = APIRouter(prefix="/experiment/forget", tags=["access"])

_STAYS = (
    "What was counted stays, without photo, id or person. The ledger's lines go when their files are rotated away; "
    "they hold no photo and no name."
)


class WantedErasure(BaseModel):
    """Either a request by its id, or a person by the ten digits that the ledger has for them."""

    model_config = ConfigDict(extra="forbid")

    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    person: Annotated[str, Field(pattern=r"^[0-9]{10}$")] | None = None


@routes.post("", responses=failures({404: "Nothing is known of that."}))
def forget(request: Request, wanted: WantedErasure) -> dict[str, object]:
    """Deletes, and says how much, and what stays."""
    if (wanted.request_id is None) == (wanted.person is None):
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "Name a request_id or a person, and not both.")
    service: Service = request.app.state.service
    try:
        erased = _erase(service, wanted)
    except OSError as error:
        why = f"A photo could not be deleted ({error.strerror}), so nothing was forgotten."
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, why) from None
    except SQLAlchemyError:
        raise HTTPException(
            HTTPStatus.SERVICE_UNAVAILABLE, "The database does not answer. Try again in a moment."
        ) from None
    if not erased.requests and not erased.photos:
        raise HTTPException(HTTPStatus.NOT_FOUND, "Nothing is known of that; it may have been forgotten already.")
    return {**asdict(erased), "stays": _STAYS}


def _erase(service: Service, wanted: WantedErasure) -> Erased:
    photos = service.settings.keep_images
    if wanted.request_id is not None:
        return erase_request(service.database, photos, wanted.request_id)
    assert wanted.person is not None
    return erase_person(service.database, photos, wanted.person)
