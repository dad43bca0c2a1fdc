"""What people see: the upload form, the result, and errors in words."""

import base64
from http import HTTPStatus
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.templating import Jinja2Templates

from variants import CLASSES

from .predictor import Prediction

__all__ = ["STATIC", "error_response", "form_page", "result_page"]

STATIC = Path(__file__).with_name("static")

_templates = Jinja2Templates(Path(__file__).with_name("templates"))
_templates.env.globals["classes"] = CLASSES
# Pages hold nothing from another host, and nothing may be slipped into them.
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-cache",
}


def form_page(request: Request) -> Response:
    return _page(request, "form.html", {})


def result_page(request: Request, prediction: Prediction, filename: str) -> Response:
    ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    photo = base64.b64encode(prediction.preview or b"").decode()
    context = {"prediction": prediction, "ranked": ranked, "filename": filename, "photo": photo}
    return _page(request, "result.html", context | {"exchange": request.state.exchange})


def error_response(request: Request, status: HTTPStatus, detail: str) -> Response:
    """A page on ``/result/``, JSON elsewhere."""
    if request.url.path == "/result/":
        return _page(request, "error.html", {"detail": detail}, status)
    return JSONResponse({"detail": detail}, status)


def _page(request: Request, template: str, context: dict[str, object], status: int = 200) -> Response:
    context["served"] = request.app.state.served
    return _templates.TemplateResponse(request, template, context, status, _HEADERS)
