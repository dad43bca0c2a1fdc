"""What the pages of every service share: frame, style and header, and what they are sent with.

Each service has its own templates and static files beside; the shared ones are found under the same addresses.
"""

from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates

from look.numbers import percent
from variants import CLASSES, LABELS, TITLE

__all__ = ["Pages", "wants_page"]

# Pages hold nothing from another host, and nothing may be slipped into them.
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


class Pages:
    """The pages of one service: its folders ``templates`` and ``static`` in ``folder``, served at ``address``."""

    def __init__(self, folder: Path, address: str, cache: str) -> None:
        self.static = StaticFiles(directory=folder / "static", packages=[("look", "static")])
        self.templates = Jinja2Templates([folder / "templates", Path(__file__).with_name("templates")])
        self.templates.env.trim_blocks = self.templates.env.lstrip_blocks = True
        self.templates.env.globals |= {"site": TITLE, "static": address, "classes": CLASSES, "labels": LABELS}
        self.templates.env.filters["percent"] = percent
        self._headers = _HEADERS | {"Cache-Control": cache}

    def render(self, request: Request, template: str, context: dict[str, Any], status: int = 200) -> Response:
        return self.templates.TemplateResponse(request, template, context, status, self._headers)


def wants_page(request: Request) -> bool:
    """Whether it is a browser that asks, rather than a program."""
    return "text/html" in request.headers.get("accept", "")
