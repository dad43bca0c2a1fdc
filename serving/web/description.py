"""The description of the API: a variant's own, and what nginx serves of all services together."""

import json
from pathlib import Path
from typing import Any

import look

__all__ = ["of_the_site"]

_OTHERS = Path(look.__file__).with_name("openapi.json")
_PUBLIC = ("/predict", "/result/", "/")


def of_the_site(own: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document of what nginx serves; ``own`` is a variant's."""
    others = json.loads(_OTHERS.read_text())
    paths = {path: own["paths"][path] for path in _PUBLIC} | others["paths"]
    schemas = own["components"]["schemas"] | others["components"]["schemas"]
    token = {"type": "http", "scheme": "bearer", "description": "The operator's."}
    return own | {"paths": paths, "components": {"schemas": schemas, "securitySchemes": {"token": token}}}
