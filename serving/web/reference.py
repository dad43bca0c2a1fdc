"""What the page of the API shows: an OpenAPI document, flattened, with a request to copy for each operation."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any

from markupsafe import Markup, escape

__all__ = ["Answer", "Field", "Operation", "operations", "prose"]

_Schema = Mapping[str, Any]
# What FastAPI says where nobody says more.
_SAID = {"Successful Response": "", "Validation Error": "Not understood."}


@dataclass(frozen=True)
class Field:
    """One value that a request takes: ``place`` is "path", "query" or "body"."""

    name: str
    place: str
    kind: str
    required: bool
    text: str


@dataclass(frozen=True)
class Answer:
    """What comes back with one status; where that is what was asked for, of which type, and which fields it has."""

    status: str
    text: str
    media: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Operation:
    """A method at a path. ``example`` is a command, ``page`` whether a browser can simply open it."""

    method: str
    path: str
    text: str
    fields: tuple[Field, ...]
    answers: tuple[Answer, ...]
    example: str
    page: bool


def operations(document: Mapping[str, Any], host: str, photo: str) -> dict[str, list[Operation]]:
    """All of ``document`` by their tags, in its order; ``host`` is where it answers, ``photo`` a file to send."""
    schemas = document["components"]["schemas"]
    found: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            group = found.setdefault(said.get("tags", ["more"])[0], [])
            group.append(_operation(method.upper(), path, said, schemas, host, photo))
    return found


def prose(text: str) -> Markup:
    """A docstring's text: what stands between backticks is code."""
    return Markup(re.sub(r"``(.+?)``", r"<code>\1</code>", str(escape(text))))  # noqa: S704  (escaped)


def _operation(method: str, path: str, said: _Schema, schemas: _Schema, host: str, photo: str) -> Operation:
    media, body = _content(said.get("requestBody", {}), schemas)
    parameters = [
        (each, each["in"], each.get("required", False), each["schema"]) for each in said.get("parameters", ())
    ]
    fields = [
        Field(each["name"], place, _kind(schema, schemas), required, each.get("description", ""))
        for each, place, required, schema in parameters
    ]
    fields += [
        Field(name, "body", _kind(schema, schemas), name in body.get("required", ()), schema.get("description", ""))
        for name, schema in body.get("properties", {}).items()
    ]
    return Operation(
        method,
        path,
        said.get("description", said.get("summary", "")),
        tuple(fields),
        tuple(_answer(status, answer, schemas) for status, answer in sorted(said["responses"].items())),
        " ".join(_command(method, f"{host}{path}", media, body, bool(said.get("security")), photo, schemas)),
        method == "GET" and "{" not in path,
    )


def _answer(status: str, said: _Schema, schemas: _Schema) -> Answer:
    media, schema = _content(said, schemas)
    text = _SAID.get(said["description"], said["description"]) or schema.get("description", "")
    return Answer(status, text, *((media, tuple(schema.get("properties", ()))) if status < "300" else ("", ())))


def _content(said: _Schema, schemas: _Schema) -> tuple[str, _Schema]:
    """The first type of a body, and its schema."""
    for media, content in said.get("content", {}).items():
        return media, _resolved(content.get("schema", {}), schemas)
    return "", {}


def _resolved(schema: _Schema, schemas: _Schema) -> _Schema:
    found: _Schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return found


def _kind(schema: _Schema, schemas: _Schema) -> str:
    """A type in words."""
    schema = _resolved(schema, schemas)
    for one in schema.get("anyOf", ()):
        if one.get("type") != "null":
            return _kind(one, schemas)
    if "enum" in schema:
        return " or ".join(schema["enum"])
    if schema.get("contentMediaType"):
        return "file"
    return str(schema.get("type", "any"))


def _command(
    method: str, url: str, media: str, body: _Schema, needs_token: bool, photo: str, schemas: _Schema
) -> Iterator[str]:
    yield "curl"
    if method != "GET" and not body:
        yield f"-X {method}"
    if needs_token:
        yield "-H 'Authorization: Bearer …'"
    fields = body.get("properties", {})
    asked = {name: schema for name, schema in fields.items() if name in body.get("required", fields)}
    if media == "application/json":
        yield "-H 'Content-Type: application/json'"
        said = {name: _value(schema, schemas) for name, schema in asked.items()}
        yield f"-d {quote(json.dumps(said, ensure_ascii=False))}"
    elif media == "multipart/form-data":
        for name in asked:
            yield f"-F {name}=@{quote(photo)}"
    else:
        for name in asked:
            yield f"-d {name}=…"
    yield quote(url) if "{" in url else url


def _value(schema: _Schema, schemas: _Schema) -> object:
    kind = _kind(schema, schemas)
    return 0 if kind in ("integer", "number") else kind.split(" or ")[0] if "enum" in schema else "…"
