"""The description of what this service answers through nginx: ``python -m experiment.web.description`` writes it.

It lies in ``look/openapi.json``, since the variants, which know nothing of this service, show it with their own.
"""

import json
from pathlib import Path
from typing import Any

from fastapi.openapi.utils import get_openapi

import look
from experiment.access.rules import Role, Rule, rule_for
from experiment.web import app, control
from experiment.web.access import forget, login
from experiment.web.labels import feedback, label_page, noted

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

# By the beginning of their addresses, those that nginx limits for each client.
_LIMITED = ("/feedback", "/experiment/login")
_FAILURE = {"$ref": "#/components/schemas/Failure"}
_INVALID = {"anyOf": [_FAILURE, {"$ref": "#/components/schemas/HTTPValidationError"}]}


def describe() -> dict[str, Any]:
    """Paths and components, as OpenAPI has them."""
    routers = (app.pages, feedback.routes, noted.routes, label_page.routes, login.routes, control.routes, forget.routes)
    routes = [route for router in routers for route in router.routes]
    found = get_openapi(title="", version="", routes=routes)
    del found["paths"]["/livez"]  # for the container, not for clients
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            rule = rule_for(method.upper(), path)
            assert rule, f"{method} {path} is in no rule"
            responses = operation["responses"]
            for status, sentence in _of_all(rule).items():
                responses.setdefault(str(status), {"description": sentence})
            for status in responses.keys() - {"200", "201", "303"}:
                responses[status]["content"] = _failed(status)
            if rule.when_open > Role.VISITOR:
                operation["security"] = [{"token": []}]
    return {"paths": found["paths"] | {"/healthz": _HEALTH}, "components": found["components"]}


def _of_all(rule: Rule) -> dict[int, str]:
    """What a route may answer since it stands behind nginx and the rules of access, whatever it does."""
    answers = {400: "Not understood.", 503: "The service, or its database, is away: try again in a moment."}
    if rule.least > Role.VISITOR:
        answers[403] = "The token is another role's."
        if rule.page:
            answers[303] = "To the form to log in."
        else:
            answers[401] = "A token is missing, or nobody's."
    if rule.method == "POST":
        answers.setdefault(403, "A form on another site.")
        answers[413] = "More than 10 MB."
    if rule.path.startswith(_LIMITED):
        answers[429] = "Too much at once; Retry-After says when to come back."
    return answers


def _failed(status: str) -> dict[str, Any]:
    """Browsers get a page, programs get JSON."""
    return {"application/json": {"schema": _INVALID if status == "422" else _FAILURE}, "text/html": {}}


if __name__ == "__main__":
    FILE.write_text(json.dumps(describe(), indent=1) + "\n")
