"""What the page of the API makes of a description."""

import json

import pytest

from local.parts import ROOT
from serving.web.reference import Operation, operations, prose

SCHEMAS = {
    "Wanted": {
        "type": "object",
        "required": ["name", "role"],
        "description": "What is wanted.",
        "properties": {
            "name": {"type": "string", "description": "Its ``name``."},
            "role": {"enum": ["one", "two"]},
            "more": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        },
    },
    "Upload": {
        "type": "object",
        "required": ["photo"],
        "properties": {"photo": {"type": "string", "contentMediaType": "application/octet-stream"}},
    },
}


def operation(method: str, path: str, **said: object) -> Operation:
    document = {"paths": {path: {method: {"responses": {}} | said}}, "components": {"schemas": SCHEMAS}}
    (found,) = operations(document, "here", "a b.jpg")["more"]
    return found


def body(media: str, schema: str) -> dict[str, object]:
    return {"content": {media: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


@pytest.mark.parametrize(
    ("method", "said", "command"),
    [
        ("get", {}, "curl here/a"),
        ("post", {}, "curl -X POST here/a"),
        ("post", {"security": [{"token": []}]}, "curl -X POST -H 'Authorization: Bearer …' here/a"),
        (
            "post",
            {"requestBody": body("application/json", "Wanted")},
            """curl -H 'Content-Type: application/json' -d '{"name": "…", "role": "one"}' here/a""",
        ),
        (
            "post",
            {"requestBody": body("application/x-www-form-urlencoded", "Wanted")},
            "curl -d name=… -d role=… here/a",
        ),
        (
            "post",
            {"requestBody": body("multipart/form-data", "Upload")},
            "curl -F photo=@'a b.jpg' here/a",
        ),
    ],
)
def test_each_operation_has_a_command(method: str, said: dict[str, object], command: str) -> None:
    assert operation(method, "/a", **said).example == command


def test_what_it_takes_and_answers() -> None:
    found = operation(
        "post",
        "/a/{which}",
        description="Does it.",
        parameters=[{"name": "which", "in": "path", "required": True, "schema": {"type": "string"}}],
        requestBody=body("application/json", "Wanted"),
        responses={
            "422": {"description": "Validation Error"},
            "200": {"description": "Successful Response"} | body("application/json", "Wanted"),
        },
    )
    assert not found.page
    assert [(field.name, field.place, field.kind, field.required) for field in found.fields] == [
        ("which", "path", "string", True),
        ("name", "body", "string", True),
        ("role", "body", "one or two", True),
        ("more", "body", "integer", False),
    ]
    answered, refused = found.answers
    assert (answered.status, answered.text, answered.media) == ("200", "What is wanted.", "application/json")
    assert answered.fields == ("name", "role", "more")
    assert (refused.status, refused.text, refused.media) == ("422", "Not understood.", "")


def test_prose_is_escaped_and_says_code() -> None:
    assert prose("``a`` < b") == "<code>a</code> &lt; b"


def test_all_that_nginx_serves_of_others_has_a_group() -> None:
    document = json.loads((ROOT / "look" / "openapi.json").read_text())
    assert "more" not in operations(document, "", "")
