"""The web application of the experiment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request, Response
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException as StarletteHTTPException

from abtest.typed import in_full
from experiment.report import charts, summary, tables
from experiment.service import Service
from experiment.web import control, gateways
from experiment.web.access import forget, login
from experiment.web.access.guard import Guard
from experiment.web.labels import feedback, label_page, noted
from experiment.web.pages import PAGES, message_page, render_page
from experiment.web.schemas import State, failures
from look.pages import wants_page

__all__ = ["create_app"]

_Number = Annotated[int | None, Query(alias="id", ge=1, le=2**31 - 1, description="An earlier experiment.")]


class _Csv(Response):
    media_type = "text/csv"


_WAYS = (("/experiment", "Report"),)

_FAILURES = failures({404: "There is no experiment of that number.", 503: "The database is away."})

pages = APIRouter(tags=["experiment"])


@pages.get("/livez")
async def livez() -> dict[str, bool]:
    """Whether the process answers."""
    return {"alive": True}


@pages.get("/experiment.json", responses=_FAILURES)
def facts(request: Request, experiment: _Number = None) -> Response:
    """All facts of the experiment."""
    return JSONResponse(_report(request, experiment), headers={"Cache-Control": "no-store"})


@pages.get("/experiment/state.json", response_model=State, responses=failures({503: "The database is away."}))
def state(request: Request) -> Response:
    """How the experiment that runs stands, in a word."""
    facts = {"state": summary.state(_report(request, None))}
    return JSONResponse(facts, headers={"Cache-Control": "no-store"})


@pages.get("/experiment/csv/{chart}.csv", response_class=_Csv, responses=_FAILURES)
def chart(request: Request, chart: str, experiment: _Number = None) -> Response:
    """The numbers that a chart of the report shows."""
    table = tables.TABLES.get(chart)
    if table is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"The charts are {', '.join(tables.TABLES)}.")
    text = tables.as_csv(table(_report(request, experiment)))
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{chart}.csv"'}
    return _Csv(text, headers=headers)


@pages.get("/experiment", response_class=HTMLResponse, responses=_FAILURES)
@pages.get("/experiment/", include_in_schema=False)
def page(
    request: Request,
    experiment: _Number = None,
    by: Annotated[charts.By, Query(description="What the curves run over.")] = "labels",
) -> Response:
    """The same as a page."""
    try:
        report = _report(request, experiment)
    except HTTPException as error:
        return message_page(
            request, "There is no report", str(error.detail), error.status_code, [("/experiment", "Report")]
        )
    service: Service = request.app.state.service
    abtest = service.settings.abtest_command
    context = {
        "report": report,
        "past": experiment is not None,
        "by": by,
        "chips": summary.chips(report),
        "next_command": in_full(report["verdict"]["next"]["command"], abtest),
        "pair_command": in_full("abtest split --pair", abtest),
        "first_steps": summary.first_steps(abtest, service.settings.public_url or str(request.base_url).rstrip("/")),
        "keeps_photos": service.settings.keep_images is not None,
    }
    return render_page(request, "report.html", context)


def _report(request: Request, experiment: int | None) -> dict[str, Any]:
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


async def _explained(request: Request, error: Exception) -> Response:
    """A page where one was asked for, else JSON."""
    assert isinstance(error, StarletteHTTPException)
    detail = str(error.detail)
    if wants_page(request):
        if error.status_code == HTTPStatus.NOT_FOUND and detail == "Not Found":
            detail = "There is nothing here."
        response = message_page(request, "That did not work", detail, error.status_code, _WAYS)
    else:
        response = JSONResponse({"detail": error.detail}, error.status_code)
    response.headers.update(error.headers or {})
    return response


async def _not_understood(request: Request, error: Exception) -> Response:
    """A page where one was asked for, else FastAPI's list of what is wrong."""
    assert isinstance(error, RequestValidationError)
    if wants_page(request):
        return message_page(request, "That did not work", "This address is not understood.", 422, _WAYS)
    return await request_validation_exception_handler(request, error)


def create_app(service: Service) -> FastAPI:
    """The application around ``service``, which starts and stops with it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        app.state.arrivals = feedback.Arrivals()
        app.state.answers = noted.Answers()
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
    app.mount("/experiment/static", PAGES.static, name="static")
    app.add_exception_handler(StarletteHTTPException, _explained)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.include_router(pages)
    for module in (feedback, noted, label_page, login, control, forget, gateways):
        app.include_router(module.routes)
    settings = service.settings
    app.add_middleware(
        Guard, tokens=service.tokens, needs_tokens=settings.access == "token", public_url=settings.public_url
    )
    return app
