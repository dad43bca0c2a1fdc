"""What came with a request: a form of this site, or JSON."""

import json
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from fastapi import HTTPException, Request

__all__ = ["read_fields"]

_MOST_BYTES = 4096


async def read_fields(request: Request, is_form: bool) -> dict[str, Any]:
    """The fields of a form or of a JSON object; raises ``HTTPException`` for what is neither, or too long."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Feedback is a few hundred bytes at most.")
    fields: Any = None
    with suppress(ValueError, RecursionError):
        fields = {name: values[0] for name, values in parse_qs(body.decode()).items()} if is_form else json.loads(body)
    if not isinstance(fields, dict):
        raise HTTPException(
            HTTPStatus.UNPROCESSABLE_ENTITY, 'Send a JSON object: {"request_id": "…", "true_label": "…"}.'
        )
    return fields
