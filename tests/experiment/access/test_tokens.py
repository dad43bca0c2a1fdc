"""Tokens and the sessions that browsers get for them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from experiment.access.rules import Role
from experiment.access.tokens import SESSION_S, Tokens
from experiment.record.database import Database
from tests.experiment.conftest import At


def test_a_token_is_its_roles_until_the_next_one(database: Database, tmp_path: Path) -> None:
    tokens = Tokens(database, tmp_path)
    first, second = tokens.issue(Role.LABELLER), tokens.issue(Role.OPERATOR)
    assert (tokens.role_of(first), tokens.role_of(second)) == (Role.LABELLER, Role.OPERATOR)
    third = tokens.issue(Role.LABELLER)
    assert (tokens.role_of(first), tokens.role_of(third), tokens.role_of("")) == (None, Role.LABELLER, None)
    assert tokens.role_of((tmp_path / "token").read_text().strip()) is Role.OPERATOR


def test_what_is_stored_lets_nobody_in(sqlite: Database, tmp_path: Path) -> None:
    tokens = Tokens(sqlite, tmp_path)
    token = tokens.issue(Role.OPERATOR)
    session = tokens.open_session(token)
    assert session
    sqlite.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("experiment.db*"))
    assert token.encode() not in stored
    assert session.encode() not in stored
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


def test_a_session_ends_by_itself_with_its_token_and_when_it_is_closed(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(database, tmp_path)
    token = tokens.issue(Role.LABELLER)
    assert tokens.open_session("wrong") is None
    one, two, three = (tokens.open_session(token) or "" for _ in range(3))
    assert tokens.role_of_session(one) is Role.LABELLER
    tokens.close_session(one)
    assert (tokens.role_of_session(one), tokens.role_of_session(two)) == (None, Role.LABELLER)
    with monkeypatch.context() as patched:
        later = time.time() + SESSION_S + 1
        patched.setattr("experiment.access.tokens.time.time", lambda: later)
        assert tokens.role_of_session(two) is None
        tokens.open_session(token)  # makes room: those that ended are deleted
    assert tokens.role_of_session(two) is None
    fresh = tokens.open_session(token) or ""
    tokens.issue(Role.LABELLER)
    assert (tokens.role_of_session(three), tokens.role_of_session(fresh)) == (None, None)


def test_a_token_given_by_the_operator_is_the_first(sqlite: Database, tmp_path: Path) -> None:
    tokens = Tokens(sqlite, tmp_path, "given")
    assert tokens.role_of("given") is Role.OPERATOR
    assert not (tmp_path / "token").exists()


def test_the_cookie_is_for_this_site_and_no_script(serve: Callable[..., Any]) -> None:
    with serve(access="token", public_url="https://photos.example.org") as running:
        client = TestClient(running.client.app, follow_redirects=False)
        token = client.post("/experiment/token", json={"role": "labeller"}, headers=running.operator).json()["token"]
        answer = client.post("/experiment/login", data={"token": token, "next": "/experiment/label"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/experiment/label")
        cookie = answer.headers["set-cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Secure", "Max-Age=43200", "Path=/"))
        assert token not in cookie


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example", "/experiment//evil", "/experiment\\evil", "x"]
)
def test_logging_in_leads_nowhere_else(serve: Callable[..., Any], back: str) -> None:
    with serve(access="token") as running:
        client = TestClient(running.client.app, follow_redirects=False)
        token = running.operator["Authorization"].removeprefix("Bearer ")
        where = client.post("/experiment/login", data={"token": token, "next": back}).headers["location"]
        assert where.startswith("/experiment")
        assert "evil" not in where or where.startswith("/experiment/")


def test_an_installation_of_before_keeps_its_token(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "token").write_text("as-it-was\n")
    with At(tmp_path) as running:
        asked = running.client.post("/experiment/split", json={}, headers={"Authorization": "Bearer as-it-was"})
        assert asked.status_code == 422
