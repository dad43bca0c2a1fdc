"""``/experiment/login``, ``/logout`` and ``/token``: a browser is asked once for a token, and shows a session then."""

import re
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import SQLAlchemyError

from experiment.access.rules import Role
from experiment.access.tokens import SESSION_S
from experiment.service import Service
from experiment.web.access.guard import COOKIE, LOGIN
from experiment.web.pages import message_page, render_page
from experiment.web.schemas import failures

__all__ = ["routes"]

routes = APIRouter(prefix="/experiment", tags=["access"])

_HOME = {Role.LABELLER: "/experiment/label", Role.OPERATOR: "/experiment"}
_BACK = re.compile(r"/experiment(/[a-z/]*)?")


class WantedToken(BaseModel):
    """A new token for a role; the one before is nobody's from then on."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["labeller", "operator"]


@routes.get("/login", response_class=HTMLResponse)
def form(request: Request) -> Response:
    """The form, unless the browser is logged in already and wants nothing more."""
    back = request.query_params.get("next", "")
    return _form(request, back)


@routes.post(
    "/login",
    status_code=HTTPStatus.SEE_OTHER,
    response_class=RedirectResponse,
    responses=failures({403: "The token is nobody's."}, page=True),
)
def login(
    request: Request,
    token: Annotated[str, Form(max_length=200)] = "",
    back: Annotated[str, Form(alias="next", max_length=200)] = "",
) -> Response:
    """Takes a token, and goes where the browser wanted to go."""
    service: Service = request.app.state.service
    try:
        session = service.tokens.open_session(token.strip())
        role = service.tokens.role_of(token.strip())
    except SQLAlchemyError:
        return message_page(request, "One moment", "The database does not answer. Try again in a moment.", 503)
    if session is None or role is None:
        return _form(request, back, "This token is nobody's. It may have been replaced since.", HTTPStatus.FORBIDDEN)
    answer = RedirectResponse(back if _BACK.fullmatch(back) else _HOME[role], HTTPStatus.SEE_OTHER)
    secure = service.settings.public_url.startswith("https://")
    answer.set_cookie(COOKIE, session, int(SESSION_S), secure=secure, httponly=True, samesite="strict")
    return answer


@routes.post("/logout", status_code=HTTPStatus.SEE_OTHER, response_class=RedirectResponse)
def logout(request: Request) -> Response:
    """Ends the session, here and in the database."""
    service: Service = request.app.state.service
    try:
        service.tokens.close_session(request.cookies.get(COOKIE, ""))
    except SQLAlchemyError:
        return message_page(request, "One moment", "The database does not answer. Try again in a moment.", 503)
    answer = RedirectResponse(LOGIN, HTTPStatus.SEE_OTHER)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


@routes.post("/token")
def issue(request: Request, wanted: WantedToken) -> Response:
    """A new token for a role, told this once."""
    service: Service = request.app.state.service
    try:
        token = service.tokens.issue(Role[wanted.role.upper()])
    except SQLAlchemyError:
        raise HTTPException(
            HTTPStatus.SERVICE_UNAVAILABLE, "The database does not answer. Nothing was changed; try again in a moment."
        ) from None
    return JSONResponse({"role": wanted.role, "token": token}, headers={"Cache-Control": "no-store"})


def _form(request: Request, back: str, problem: str = "", status: int = HTTPStatus.OK) -> Response:
    return render_page(request, "login.html", {"back": back, "problem": problem}, status)
