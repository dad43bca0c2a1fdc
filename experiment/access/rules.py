"""Who may do what: one table. The service enforces it, a test tries every role on every route, docs/ shows it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

from starlette.routing import compile_path

__all__ = ["RULES", "Role", "Rule", "as_markdown", "methods_of", "rule_for"]


class Role(IntEnum):
    """What somebody is, by what they show; each may do what those before it may."""

    VISITOR = 0
    LABELLER = 1
    OPERATOR = 2


@dataclass(frozen=True)
class Rule:
    """One route, and the ``least`` role that it takes with ``ACCESS=token``; with ``ACCESS=open`` it is ``when_open``.

    Whoever is less is shown the form to log in by a ``page``, and told why not by anything else. What is ``inside`` the
    public server does not pass on at all.
    """

    method: str
    path: str
    what: str
    least: Role
    when_open: Role = Role.VISITOR
    page: bool = False
    inside: bool = False

    def needs(self, *, tokens: bool) -> Role:
        """The least role where ``ACCESS`` is ``token``, or is not."""
        return self.least if tokens else self.when_open

    def fits(self, method: str, path: str) -> bool:
        return method == self.method and _pattern(self.path).fullmatch(path) is not None


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return compile_path(path)[0]


_VISITOR, _LABELLER, _OPERATOR = Role

RULES = (
    Rule("GET", "/", "the form for a photo", _VISITOR, page=True),
    Rule("GET", "/interface/", "the same", _VISITOR, page=True),
    Rule("GET", "/docs", "the API's documentation", _VISITOR, page=True),
    Rule("GET", "/openapi.json", "the same for programs", _VISITOR),
    Rule("GET", "/static/{path:path}", "what pages are made of", _VISITOR),
    Rule("GET", "/samples/{path:path}", "photos to try with", _VISITOR),
    Rule("GET", "/healthz", "which variants are ready, with which weights", _VISITOR),
    Rule("POST", "/predict", "a prediction", _VISITOR),
    Rule("POST", "/result/", "a prediction, as a page", _VISITOR, page=True),
    Rule("POST", "/feedback", "what a photo really showed, of one's own request", _VISITOR),
    Rule("POST", "/feedback/answers", "what the variants said of it, once it has its label", _VISITOR, page=True),
    Rule("GET", "/experiment/state.json", "how the experiment stands, in a word", _VISITOR),
    Rule("GET", "/experiment/static/{path:path}", "what pages are made of", _VISITOR),
    Rule("GET", "/experiment/login", "the form to log in", _VISITOR, page=True),
    Rule("POST", "/experiment/login", "to log in by a token", _VISITOR, page=True),
    Rule("POST", "/experiment/logout", "to log out", _VISITOR, page=True),
    Rule("GET", "/experiment/label", "a photo in dispute, to label", _LABELLER, page=True),
    Rule("POST", "/experiment/label", "its label", _LABELLER, page=True),
    Rule("POST", "/experiment/label/undo", "to take it back", _LABELLER, page=True),
    Rule(
        "GET", "/experiment/label/done", "photos in dispute that have a label, and both answers", _LABELLER, page=True
    ),
    Rule("GET", "/experiment/label/photo/{request_id}", "a kept photo", _LABELLER),
    Rule("GET", "/experiment", "the report", _OPERATOR, page=True),
    Rule("GET", "/experiment.json", "the same for programs", _OPERATOR),
    Rule("GET", "/experiment/csv/{chart}.csv", "what a chart of it shows", _OPERATOR),
    Rule("GET", "/experiment/split", "the split, those before, and who asked for them", _OPERATOR),
    Rule("POST", "/experiment/split", "a change of the split", _OPERATOR, _OPERATOR),
    Rule("POST", "/experiment/token", "a new token for a role", _OPERATOR, _OPERATOR),
    Rule("POST", "/experiment/forget", "to forget a request, or a person", _OPERATOR, _OPERATOR),
    Rule("GET", "/livez", "whether the process answers", _VISITOR, inside=True),
    Rule("GET", "/gateway/split", "what a gateway is to serve", _VISITOR, inside=True),
    Rule("GET", "/gateway/variants", "which variants there are", _VISITOR, inside=True),
    Rule("GET", "/gateway/may-force", "whether a request may choose its variant", _VISITOR, inside=True),
    Rule("POST", "/gateway/served", "what a gateway serves", _VISITOR, inside=True),
    Rule("POST", "/gateway/refusal", "why a gateway does not take a split over", _VISITOR, inside=True),
)


def rule_for(method: str, path: str) -> Rule | None:
    """The rule of a request; None where there is none."""
    asked = "GET" if method == "HEAD" else method
    plain = path.rstrip("/") or "/"
    return next((rule for rule in RULES if rule.fits(asked, path) or rule.fits(asked, plain)), None)


def methods_of(path: str) -> list[str]:
    """What may be done at an address; nothing where there is none."""
    plain = path.rstrip("/") or "/"
    return [rule.method for rule in RULES if rule.fits(rule.method, path) or rule.fits(rule.method, plain)]


def as_markdown() -> str:
    """The table for docs/access.md."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "| route | what | visitor | labeller | operator |"
    yield "| --- | --- | :-: | :-: | :-: |"
    for rule in RULES:
        may = ["–" if rule.inside else _cell(rule, role) for role in Role]
        yield f"| `{rule.method} {rule.path}` | {rule.what} | {' | '.join(may)} |"


def _cell(rule: Rule, role: Role) -> str:
    if role >= rule.least:
        return "yes"
    return "open" if role >= rule.when_open else "no"
