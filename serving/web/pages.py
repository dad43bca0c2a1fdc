"""What people see: the upload form, the result, and errors in words."""

import base64
from http import HTTPStatus
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from look.pages import Pages, wants_page

from ..predictor import Prediction
from ..variant import ServedVariant
from .description import of_the_site
from .reference import operations, prose

__all__ = ["PAGES", "docs_page", "error_response", "form_page", "result_page"]

PAGES = Pages(Path(__file__).parent, "/static", cache="private, no-cache")
PAGES.templates.env.filters["prose"] = prose


def docs_page(request: Request) -> Response:
    own = request.app.openapi()
    document = of_the_site(own) if _feedback_url(request) else own
    served: ServedVariant = request.app.state.served
    photo = next(iter(served.samples.texts()), "")
    context = {
        "groups": operations(document, request.url.netloc, f"sample_data/{photo}" if photo else "photo.jpg"),
        "about": document["info"]["description"],
        "host": request.url.netloc,
    }
    return _page(request, "docs.html", context)


def form_page(request: Request) -> Response:
    return _page(request, "form.html", {"samples": request.app.state.served.samples.texts()})


def result_page(request: Request, prediction: Prediction, filename: str) -> Response:
    ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    photo = base64.b64encode(prediction.preview or b"").decode()
    context = {"prediction": prediction, "ranked": ranked, "filename": filename, "photo": photo}
    return _page(request, "result.html", context | {"exchange": request.state.exchange})


def error_response(request: Request, status: HTTPStatus, detail: str) -> Response:
    """A page on ``/result/``, JSON on ``/predict``, elsewhere what was asked for."""
    path = request.scope["path"]
    if path == "/result/" or (path != "/predict" and wants_page(request)):
        return _page(request, "error.html", {"detail": detail}, status)
    return JSONResponse({"detail": detail}, status)


def _page(request: Request, template: str, context: dict[str, object], status: int = 200) -> Response:
    served: ServedVariant = request.app.state.served
    shared = {"served": served, "feedback_url": _feedback_url(request)}
    return PAGES.render(request, template, context | shared, status)


def _feedback_url(request: Request) -> str:
    """Where labels are taken; empty at the variant's own port, past nginx: there is no experiment beside it."""
    served: ServedVariant = request.app.state.served
    server = request.scope.get("server")
    at_own_port = server is not None and request.url.port == server[1]
    return "" if at_own_port else served.settings.feedback_url
