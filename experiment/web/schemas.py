"""What requests and answers hold, for the description of the API."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["FEEDBACK_BODY", "REQUEST_ID_BODY", "Noted", "State", "failures"]

_RequestId = Annotated[
    str, Field(pattern="^[A-Za-z0-9._-]{1,64}$", description="X-Request-ID of a prediction's answer.")
]


class Failure(BaseModel):
    """Why something was not done."""

    detail: str


class Feedback(BaseModel):
    """What a photo showed; with ``change`` in place of what was said before, or, left empty, taking that back."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    request_id: _RequestId
    true_label: str
    """A class, or ``other``."""
    change: bool = False
    """For ten minutes a label may be changed."""
    ticket: str = ""
    """X-Ticket of that answer: whose label it is."""
    blind: bool = False
    """Given by somebody who had seen no answer; needs the token."""


class Noted(BaseModel):
    """What was noted, whether it takes part in the comparison, and if not why; and which variants have answered."""

    request_id: str
    true_label: str | None
    counts: bool
    scored_by: list[str]
    detail: str | None = None


class State(BaseModel):
    """How the experiment that runs stands."""

    state: Literal["running", "decided", "invalid", "guardrail"]


def failures(sentences: dict[int, str], page: bool = False) -> dict[int | str, dict[str, Any]]:
    """Statuses and when they come, as ``responses`` of a route; ``page`` where people are answered, not programs."""
    if page:
        return {status: {"description": text, "content": {"text/html": {}}} for status, text in sentences.items()}
    return {status: {"description": text, "model": Failure} for status, text in sentences.items()}


_feedback = Feedback.model_json_schema()
FEEDBACK_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": _feedback} for kind in ("application/json", "application/x-www-form-urlencoded")},
    }
}
_id = {
    "type": "object",
    "required": ["request_id"],
    "properties": {name: _feedback["properties"][name] for name in ("request_id", "ticket")},
}
REQUEST_ID_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": _id}}}
}
