"""The description of what this service answers through nginx: ``python -m experiment.web.description`` writes it.

It lies in ``look/openapi.json``, since the variants, which know nothing of this service, show it with their own.
"""

import json
from pathlib import Path
from typing import Any

from fastapi.openapi.utils import get_openapi

import look
from experiment.web import app, control, feedback, forget, label_page, login, noted

__all__ = ["FILE", "describe"]

FILE = Path(look.__file__).with_name("openapi.json")

# nginx makes this one of what every variant says.
_HEALTH = {
    "get": {
        "tags": ["health"],
        "summary": "Healthz",
        "description": "Whether predictions can be had, with each variant's state.",
        "operationId": "healthz",
        "responses": {
            str(status): {"description": text, "content": {"application/json": {"schema": {"type": "object"}}}}
            for status, text in ((200, "At least one variant is ready."), (503, "None is."))
        },
    }
}


def describe() -> dict[str, Any]:
    """Paths and components, as OpenAPI has them."""
    routers = (app.pages, feedback.routes, noted.routes, label_page.routes, login.routes, control.routes, forget.routes)
    routes = [route for router in routers for route in router.routes]
    found = get_openapi(title="", version="", routes=routes)
    del found["paths"]["/livez"]  # for the container, not for clients
    return {"paths": found["paths"] | {"/healthz": _HEALTH}, "components": found["components"]}


if __name__ == "__main__":
    FILE.write_text(json.dumps(describe(), indent=1) + "\n")
