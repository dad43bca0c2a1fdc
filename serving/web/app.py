"""The web application of one variant."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, FastAPI, File, HTTPException, Query, Request, Response, UploadFile
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

from variants import TITLE

from ..models.files.folder import Folder, few
from ..predictor import Prediction
from ..settings import Settings
from ..variant import ServedVariant
from .description import of_the_site
from .exchange import Exchange, PredictionRoute, unless_left
from .pages import PAGES, docs_page, error_response, form_page, result_page

__all__ = ["create_app"]

_Upload = Annotated[UploadFile, File(description="The photo: JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF.")]


class Answer(BaseModel):
    """What the model says of a photo. ``probabilities`` sums to 1."""

    request_id: str
    variant: str
    filename: str
    content_type: str
    likely_class: str
    probability: float
    probabilities: dict[str, float]
    image_base64: str | None = None


class Failure(BaseModel):
    """Why there is no answer."""

    detail: str


_FAILURES: dict[int | str, dict[str, object]] = {
    400: {"model": Failure, "description": "Not a photo, or a broken one."},
    413: {"model": Failure, "description": "More than 10 MB, or too many pixels."},
    422: {"model": Failure, "description": "No field named file."},
    429: {"model": Failure, "description": "More than one may send, or no time; Retry-After says when to come back."},
    503: {"model": Failure, "description": "Overloaded or not ready; Retry-After says when to come back."},
}

_PAGES: dict[int | str, dict[str, object]] = {
    status: {"content": {"text/html": {}}, "description": failure["description"]}
    for status, failure in _FAILURES.items()
}

predictions = APIRouter(route_class=PredictionRoute, tags=["predictions"])
pages = APIRouter(tags=["predictions"])
# For whoever runs a variant, at its own port; the description is of what everybody may ask.
probes = APIRouter(include_in_schema=False)


@predictions.post("/predict", responses=_FAILURES, response_model=Answer, response_model_exclude_none=True)
async def predict(
    request: Request,
    file: _Upload,
    include_image: Annotated[bool, Query(description="Send the photo back, as base64.")] = False,
) -> Response:
    """What is on the photo, and how sure the model is."""
    data, prediction = await _predict(request, file)
    exchange: Exchange = request.state.exchange
    answer = {
        "request_id": exchange.request_id,
        "variant": exchange.variant,
        "filename": file.filename or "",
        "content_type": file.content_type or "",
        "likely_class": prediction.likely_class,
        "probability": prediction.probability,
        "probabilities": prediction.probabilities,
    }
    return _with_image(answer, data) if include_image else JSONResponse(answer)


@predictions.post("/result/", responses=_PAGES, response_class=HTMLResponse)
async def result(request: Request, file: _Upload) -> Response:
    """The same as a page."""
    _, prediction = await _predict(request, file, with_preview=True)
    return result_page(request, prediction, file.filename or "")


def _with_image(answer: dict[str, object], data: bytes) -> Response:
    # To look for what JSON escapes takes twice as long as the rest, in which nobody else is answered.
    image = b',"image_base64":"%s"}' % base64.b64encode(data)
    return Response(bytes(JSONResponse(answer).body[:-1]) + image, media_type="application/json")


async def _predict(request: Request, file: UploadFile, with_preview: bool = False) -> tuple[bytes, Prediction]:
    data = await file.read()
    served: ServedVariant = request.app.state.served
    assert served.predictor is not None, "the route lets nothing in before"
    exchange: Exchange = request.state.exchange
    prediction = await unless_left(request, served.predictor.predict(data, with_preview, exchange.shadow))
    served.metrics.observe(prediction)
    exchange.prediction = prediction
    if served.photos and prediction.preview:
        await asyncio.to_thread(served.photos.keep, exchange.request_id, prediction.preview)
    return data, prediction


@pages.get("/", response_class=HTMLResponse)
@pages.get("/interface/", response_class=Response, include_in_schema=False)
async def form(request: Request) -> Response:
    """The upload form."""
    return form_page(request)


@pages.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    """The API, for people."""
    return docs_page(request)


@pages.get("/samples/{name:path}", response_class=FileResponse, include_in_schema=False)
async def sample(request: Request, name: str) -> Response:
    """A photo to try with."""
    path = request.app.state.served.samples.path(name)
    if path is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such sample.")
    return FileResponse(path, headers={"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"})


@probes.get("/livez")
async def livez() -> dict[str, bool]:
    """Whether the process answers."""
    return {"alive": True}


@probes.get("/readyz", responses={503: {"description": "The model is not loaded yet."}})
async def readyz(request: Request) -> Response:
    """Whether predictions can be had, and from which weights."""
    served: ServedVariant = request.app.state.served
    state = {"variant": served.name, "ready": served.predictor is not None, "engine": served.engine}
    if served.weights:
        state["weights"] = {"file": served.weights.path.name, "sha256": served.weights.sha256}
    return JSONResponse(state, HTTPStatus.OK if served.predictor else HTTPStatus.SERVICE_UNAVAILABLE)


@probes.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Counters and histograms for Prometheus."""
    served: ServedVariant = request.app.state.served
    return Response(served.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@probes.get("/site/openapi.json", include_in_schema=False)
async def site(request: Request) -> Response:
    """What nginx answers for ``/openapi.json``."""
    return JSONResponse(of_the_site(request.app.openapi()))


async def _plain_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    response = error_response(request, HTTPStatus(error.status_code), str(error.detail))
    response.headers.update(error.headers or {})
    return response


def create_app(folder: Folder, settings: Settings | None = None) -> FastAPI:
    """The application that serves the variant in ``folder``; it loads the model while it already answers its probes."""
    served = ServedVariant(folder, settings or Settings())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(served.load())
        yield
        await loading
        served.close()

    app = FastAPI(
        title=TITLE,
        description=f"Tells apart what a photo shows: {few(folder.classes)}.",
        version="1.0.0",
        docs_url=None,  # pages of our own: those of libraries come from other hosts
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.served = served
    app.add_exception_handler(StarletteHTTPException, _plain_error)
    app.mount("/static", PAGES.static, name="static")
    for router in (predictions, pages, probes):
        app.include_router(router)
    return app
