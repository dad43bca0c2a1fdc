"""Labelling behind a token, in a browser: logging in, a wrong token, the end of a session, logging out."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright
from sqlalchemy import update

from experiment.access.rules import Role
from experiment.record.database import sessions
from tests.classes import APPLE, LEMON
from tests.experiment.conftest import At, both
from tests.system import eventually


@pytest.fixture
def disputed(serve: Callable[..., Any], tmp_path: Path, photo: bytes) -> Iterator[At]:
    """A service behind tokens, with four photos on which the variants do not agree."""
    photos = tmp_path / "photos"
    photos.mkdir()
    names = ("one", "two", "three", "four")
    for name in names:
        (photos / f"{name}.jpg").write_bytes(photo)
    with serve(access="token", keep_images=photos) as running:
        running.ledger.write(*(both(name, APPLE, LEMON) for name in names))
        eventually(lambda: running.client.get("/experiment/label", headers=running.operator).text.count("4 left"))
        yield running


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def page(request: pytest.FixtureRequest, chromium: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield browser.new_context(java_script_enabled=request.param).new_page()
        browser.close()


def log_in(page: Page, token: str) -> None:
    page.get_by_label("Your token").fill(token)
    page.get_by_role("button", name="Log in").click()


def test_labelling_behind_a_token(disputed: At, serve_http: Callable[[At], str], page: Page) -> None:
    url = serve_http(disputed)
    tokens = disputed.service.tokens
    labeller = tokens.issue(Role.LABELLER)

    page.goto(f"{url}/experiment/label")
    assert page.url == f"{url}/experiment/login?next=/experiment/label"
    log_in(page, "wrong")
    page.get_by_role("alert").get_by_text("This token is nobody's").wait_for()

    log_in(page, labeller)
    page.get_by_text("4 left").wait_for()
    assert page.url == f"{url}/experiment/label"
    assert page.locator("main img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 300
    page.get_by_role("button", name=LEMON).click()
    page.get_by_text("3 left").wait_for()

    # What is not a labeller's stays closed.
    page.goto(f"{url}/experiment")
    page.get_by_text("This takes an operator's token").wait_for()

    # The session ends while a photo is looked at: the label is asked for again.
    page.goto(f"{url}/experiment/label")
    with disputed.service.database.write() as connection:
        connection.execute(update(sessions).values(ends=0.0))
    page.get_by_role("button", name=LEMON).click()
    log_in(page, labeller)
    page.get_by_text("3 left").wait_for()

    page.get_by_role("button", name="Log out").click()
    page.get_by_label("Your token").wait_for()
    assert page.context.cookies() == []
    page.goto(f"{url}/experiment/label")
    log_in(page, labeller)
    page.get_by_text("3 left").wait_for()

    # Whose token is replaced is out at once.
    fresh = tokens.issue(Role.LABELLER)
    page.reload()
    log_in(page, labeller)
    page.get_by_role("alert").wait_for()
    log_in(page, fresh)
    page.get_by_text("3 left").wait_for()


def test_an_operator_sees_the_report(disputed: At, serve_http: Callable[[At], str], page: Page) -> None:
    page.goto(f"{serve_http(disputed)}/experiment/login")
    log_in(page, disputed.operator["Authorization"].removeprefix("Bearer "))
    page.get_by_role("heading", level=1, name="Keep going").wait_for()
    page.get_by_role("button", name="Log out").wait_for()
