"""Stands before every route: finds out who asks, and lets in whom the rules let in."""

import asyncio
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from fastapi import Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Receive, Scope, Send

from experiment.access.rules import Role, Rule, methods_of, rule_for
from experiment.access.tokens import Tokens
from experiment.web.pages import message_page
from look.pages import wants_page

__all__ = ["COOKIE", "LOGIN", "Guard", "bearer"]

COOKIE = "ab_session"
LOGIN = "/experiment/login"
_SAFE = ("GET", "HEAD", "OPTIONS")


class Guard:
    """Lets a request through where its role suffices, and leaves that in ``request.state.role``.

    What a browser sends from another site's page changes nothing, whoever it is.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens, needs_tokens: bool, public_url: str) -> None:
        self._app = app
        self._tokens = tokens
        self._needs_tokens = needs_tokens
        self._public_url = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope, receive)
            if refusal := await self._refusal(request):
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _refusal(self, request: Request) -> Response | None:
        rule = rule_for(request.method, request.url.path)
        is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        page = (rule is not None and rule.page) or is_form
        if rule is None and (methods := methods_of(request.url.path)):
            allowed = ", ".join(methods)
            answer = _said(request, wants_page(request), HTTPStatus.METHOD_NOT_ALLOWED, f"Here only {allowed} is done.")
            answer.headers["Allow"] = allowed
            return answer
        try:
            shows = bearer(request) or request.cookies.get(COOKIE)
            role = await asyncio.to_thread(self._role, request) if shows else None
        except SQLAlchemyError:
            busy = "The database does not answer. Try again in a moment."
            answer = _said(request, page, HTTPStatus.SERVICE_UNAVAILABLE, busy)
            answer.headers["Retry-After"] = "1"
            return answer
        request.state.role = role or Role.VISITOR
        if request.method not in _SAFE and not (rule and rule.inside) and _foreign(request, self._public_url):
            why = "This is done on this site's own pages, or by a program."
            return _said(request, page, HTTPStatus.FORBIDDEN, why)
        # What nobody thought of is the operator's.
        least = rule.needs(tokens=self._needs_tokens) if rule else Role.OPERATOR if self._needs_tokens else Role.VISITOR
        return None if request.state.role >= least else _turned_away(request, rule, role, least)

    def _role(self, request: Request) -> Role | None:
        """Whose token or session the request shows; None where it shows none that is anybody's."""
        if (token := bearer(request)) and (role := self._tokens.role_of(token)) is not None:
            return role
        session = request.cookies.get(COOKIE, "")
        role = self._tokens.role_of_session(session) if session else None
        request.state.logged_in = role is not None
        return role


def bearer(request: Request) -> str:
    """The token in the request's head, or nothing."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _foreign(request: Request, public_url: str) -> bool:
    """Whether a browser sends this from another site's page; programs say nothing of sites."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    # Browsers leave it out where there is no TLS, or are old.
    origin = request.headers.get("origin")
    own = {request.headers.get("host", ""), urlsplit(public_url).netloc}
    return origin is not None and urlsplit(origin).netloc not in own - {""}


def _turned_away(request: Request, rule: Rule | None, role: Role | None, least: Role) -> Response:
    page = rule is not None and rule.page
    if role is not None:
        return _said(request, page, HTTPStatus.FORBIDDEN, f"This takes {_whose(least)} token; yours is another one.")
    if page:
        return RedirectResponse(f"{LOGIN}?next={quote(request.url.path)}", HTTPStatus.SEE_OTHER)
    why = (
        "The token is nobody's; it may have been replaced." if bearer(request) else f"This takes {_whose(least)} token."
    )
    if least is Role.OPERATOR:
        why += " abtest finds it beside the service; from elsewhere, give it by ABTEST_TOKEN or --token."
    answer = _said(request, page, HTTPStatus.UNAUTHORIZED, f"{why} Nothing was changed.")
    answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _whose(role: Role) -> str:
    return "an operator's" if role is Role.OPERATOR else f"a {role.name.lower()}'s"


def _said(request: Request, page: bool, status: HTTPStatus, detail: str) -> Response:
    if page:
        return message_page(request, "That did not work", detail, status)
    return JSONResponse({"detail": detail}, status, {"Cache-Control": "no-store"})
