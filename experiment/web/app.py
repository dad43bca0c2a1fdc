"""The web application of the experiment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import SQLAlchemyError

from experiment.service import Service
from experiment.web import control, feedback, forget, gateways, label_page, login
from experiment.web.guard import Guard
from experiment.web.pages import STATIC, message_page, render_page

__all__ = ["create_app"]

_Number = Annotated[int | None, Query(alias="id", ge=1, le=2**31 - 1, description="An earlier experiment.")]

pages = APIRouter()


@pages.get("/livez")
async def livez() -> dict[str, bool]:
    """Whether the process answers."""
    return {"alive": True}


@pages.get("/experiment.json")
def facts(request: Request, experiment: _Number = None) -> Response:
    """All facts of the experiment."""
    return JSONResponse(_report(request, experiment), headers={"Cache-Control": "no-store"})


@pages.get("/experiment")
@pages.get("/experiment/", include_in_schema=False)
def page(request: Request, experiment: _Number = None) -> Response:
    """The same as a page."""
    try:
        report = _report(request, experiment)
    except HTTPException as error:
        return message_page(request, "There is no report", str(error.detail), error.status_code)
    return render_page(request, "report.html", {"report": report, "past": experiment is not None})


def _report(request: Request, experiment: int | None) -> dict[str, object]:
    service: Service = request.app.state.service
    try:
        report = service.report(experiment)
    except SQLAlchemyError:
        raise HTTPException(
            HTTPStatus.SERVICE_UNAVAILABLE, "The database does not answer. Nothing is lost; try again in a moment."
        ) from None
    if report is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no experiment of that number.")
    return report


def create_app(service: Service) -> FastAPI:
    """The application around ``service``, which starts and stops with it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        app.state.arrivals = feedback.Arrivals()
        service.listeners.append(app.state.arrivals.seen)
        service.start()
        yield
        service.stop()

    app = FastAPI(
        title="A/B experiment",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # it would send people to whichever host their request names
    )
    app.state.service = service
    app.mount("/experiment/static", StaticFiles(directory=STATIC), name="static")
    app.include_router(pages)
    for module in (feedback, label_page, login, control, forget, gateways):
        app.include_router(module.routes)
    settings = service.settings
    app.add_middleware(
        Guard, tokens=service.tokens, needs_tokens=settings.access == "token", public_url=settings.public_url
    )
    return app
