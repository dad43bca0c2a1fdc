"""Every role on every route of the service; tests/gateway/test_access.py does the same through nginx."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from experiment.access.rules import RULES, Role, Rule, as_markdown, rule_for
from experiment.settings import Settings
from experiment.web.app import create_app
from local.parts import ROOT
from tests.experiment.conftest import At

OWN = [rule for rule in RULES if rule.path.startswith(("/experiment", "/feedback", "/gateway", "/livez"))]


@pytest.fixture(scope="module", params=["open", "token"])
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[At]:
    with At(tmp_path_factory.mktemp("guarded"), access=request.param) as running:
        yield running


def ask(running: At, rule: Rule, role: Role) -> int:
    """The status; 0 where somebody is sent to log in. What is asked for makes no sense, so that nothing comes of it."""
    token = "" if role is Role.VISITOR else running.service.tokens.issue(role)
    client = TestClient(running.client.app, follow_redirects=False)
    answer = client.request(
        rule.method,
        rule.path.replace("{path:path}", "style.css").replace("{request_id}", "none"),
        headers={"Authorization": f"Bearer {token}"} if token else {},
        json=None if rule.method == "GET" or rule.path == "/experiment/login" else {},
        data={"token": running.service.tokens.issue(Role.LABELLER)} if rule.path == "/experiment/login" else None,
        params={"gateway": "none"} if rule.inside else {},
    )
    return 0 if answer.headers.get("location", "").startswith("/experiment/login?next=") else answer.status_code


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("rule", OWN, ids=lambda rule: f"{rule.method} {rule.path}")
def test_every_role_on_every_route(guarded: At, rule: Rule, role: Role) -> None:
    status = ask(guarded, rule, role)
    if role >= rule.needs(tokens=guarded.service.settings.access == "token"):
        assert status not in (0, 401)
        assert status != 403 or rule.path == "/gateway/may-force"
    elif role is Role.VISITOR:
        assert status == (0 if rule.page else 401)
    else:
        assert status == 403


def test_every_route_has_a_rule_and_every_rule_a_route(at_work: At) -> None:
    described = create_app(at_work.service).openapi()["paths"]
    routes = {(method.upper(), path) for path, methods in described.items() for method in methods}
    assert {(rule.method, rule.path) for rule in OWN if "static" not in rule.path} == routes


def test_what_nobody_thought_of_is_the_operators(serve: Callable[..., Any]) -> None:
    assert rule_for("DELETE", "/experiment") is None
    with serve(access="token") as running:
        assert running.client.get("/experiment/new").status_code == 401
        assert running.client.delete("/experiment/new").status_code == 401


def test_another_method_is_told_which_there_are(at_work: At) -> None:
    for method, path, allowed in (
        ("DELETE", "/experiment", "GET"),
        ("PUT", "/experiment/label/", "GET, POST"),
        ("GET", "/feedback", "POST"),
    ):
        answer = at_work.client.request(method, path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
        assert answer.json() == {"detail": f"Here only {allowed} is done."}
    page = at_work.client.get("/experiment/logout", headers={"Accept": "text/html"})
    assert page.status_code == 405
    assert "Here only POST is done." in page.text


def test_a_head_is_a_get_and_a_slash_more_changes_nothing() -> None:
    assert rule_for("HEAD", "/experiment/label/") == rule_for("GET", "/experiment/label")
    assert rule_for("GET", "/experiment/label/photo/../../split") is None


def test_the_documentation_shows_the_table() -> None:
    assert as_markdown() in (ROOT / "docs" / "access.md").read_text()


def test_nobody_is_sent_to_another_host(serve: Callable[..., Any], tmp_path: Path) -> None:
    for access in ("open", "token"):
        (tmp_path / access).mkdir()
        with At(tmp_path / access, access=access) as running:
            client = TestClient(running.client.app, follow_redirects=False)
            for path in ("/experiment/", "/experiment/label/", "/feedback/", "/experiment/split/", "/experiment"):
                answer = client.get(path, headers={"Host": "evil.example"})
                assert "evil" not in answer.headers.get("location", ""), path


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
@pytest.mark.parametrize(
    "rule", [rule for rule in OWN if rule.method == "POST" and not rule.inside], ids=lambda r: r.path
)
def test_another_site_changes_nothing(guarded: At, rule: Rule, headers: dict[str, str]) -> None:
    answer = guarded.client.request(rule.method, rule.path, headers=guarded.operator | headers, json={})
    assert answer.status_code == 403


def test_ones_own_pages_may(at_work: At) -> None:
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://testserver"}, {}):
        assert at_work.client.post("/feedback", json={}, headers=headers).status_code == 422


@pytest.mark.parametrize(
    ("address", "access", "then"),
    [("", "", "open"), ("127.0.0.1", "", "open"), ("0.0.0.0", "", "token"), ("0.0.0.0", "open", "open")],
)
def test_what_others_reach_asks_who_it_is(
    monkeypatch: pytest.MonkeyPatch, address: str, access: str, then: str
) -> None:
    monkeypatch.setenv("ADDRESS", address)
    monkeypatch.setenv("ACCESS", access)
    assert Settings().access == then
