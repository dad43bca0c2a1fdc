"""The report as people see it, in a browser and without one."""

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.classes import APPLE, GRAPES, LEMON
from tests.experiment.conftest import At, both, line
from tests.system import eventually


def fill(running: At, labels: int = 60) -> None:
    """Photos of which vgg16 gets more right than custom, with labels."""
    dice = random.Random(2)
    truths = {str(number): dice.choice([APPLE, GRAPES, LEMON]) for number in range(200)}
    for number, (name, truth) in enumerate(truths.items()):
        custom, vgg16 = (truth if dice.random() < share else APPLE for share in (0.6, 0.95))
        seconds = dice.lognormvariate(-3, 0.5)
        running.ledger.write(both(name, custom, vgg16, ("custom", "vgg16")[number % 2], upstream_time_s=seconds))
    eventually(lambda: sum(running.report()["traffic"]["assigned"].values()) == 200)
    for name in list(truths)[:labels]:
        assert running.give(name, truths[name]) == 201
    running.service._cache.clear()


@pytest.fixture
def open_page(chromium: str) -> Iterator[Callable[..., Page]]:
    """Opens an address; whatever the browser complains of fails the test."""
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"]
        )

        def make(url: str, width: int = 1280, javascript: bool = True) -> Page:
            context = browser.new_context(viewport={"width": width, "height": 800}, java_script_enabled=javascript)
            page = context.new_page()
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("requestfailed", lambda request: complaints.append(request.url))
            page.goto(url)
            return page

        yield make
        browser.close()
    assert not complaints


@pytest.fixture
def address(serve_http: Callable[[At], str], at_work: At) -> str:
    return serve_http(at_work)


def test_an_empty_report_can_be_read(at_work: At) -> None:
    page = at_work.client.get("/experiment")
    assert page.status_code == 200
    assert "Keep going" in page.text
    assert "No labels yet." in page.text
    assert "No predictions yet." in page.text


def test_the_report_holds_all_its_parts_and_nothing_from_elsewhere(at_work: At) -> None:
    fill(at_work, labels=120)
    page = at_work.client.get("/experiment")
    for part in (
        "vgg16 is better",
        "abtest promote vgg16",
        "Accuracy of custom and vgg16",
        "Difference in accuracy",
        "only vgg16",
        "Traffic, seen and wanted",
        "Answering times",
        "Class by class",
        "What was taken for what",
        "Is the comparison fair?",
        "Guardrails",
        "What was decided",
    ):
        assert part in page.text
    assert page.text.count("<svg") == 7
    assert "style=" not in page.text
    assert not re.search(r'(src|href|action)="(https?:)?//', page.text)
    assert page.headers["content-security-policy"].startswith("default-src 'self'")


def test_names_cannot_break_out_of_the_page(at_work: At) -> None:
    at_work.plan.write_text('control = "custom"\ncandidate = "vgg16"\nname = "<script>alert(1)</script>"\n')
    eventually(lambda: "&lt;script&gt;" in at_work.client.get("/experiment").text, 10)
    assert "<script>alert" not in at_work.client.get("/experiment").text


@pytest.mark.parametrize(("width", "javascript"), [(360, True), (1280, False)])
def test_nothing_overflows(
    at_work: At, address: str, open_page: Callable[..., Page], width: int, javascript: bool
) -> None:
    fill(at_work)
    page = open_page(f"{address}/experiment", width, javascript)
    assert page.get_by_role("heading", level=1).inner_text()
    edges = page.evaluate(
        "() => [...document.querySelectorAll('main, section, svg, table')]"
        ".map((each) => each.getBoundingClientRect()).map((box) => [box.left, box.right])"
    )
    assert len(edges) > 15
    assert all(0 <= left <= right <= width for left, right in edges)


def test_the_page_renews_itself(at_work: At, address: str, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{address}/experiment")
    assert page.get_by_text("No labels yet.").count()
    at_work.ledger.write(line("a"))
    eventually(lambda: at_work.give("a", LEMON) == 201)
    page.get_by_text("1 of 1 right", exact=True).wait_for(timeout=10_000)


@pytest.fixture
def disputed(serve: Callable[..., Any], tmp_path: Path, photo: bytes) -> Iterator[At]:
    """A service with two photos on which the variants do not agree."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("one", "two"):
        (photos / f"{name}.jpg").write_bytes(photo)
    with serve(keep_images=photos) as running:
        running.ledger.write(both("one", APPLE, LEMON), both("two", APPLE, LEMON))
        eventually(lambda: running.report()["pairs"]["disagree"] == 2)
        yield running


@pytest.mark.parametrize("javascript", [True, False])
def test_photos_are_labelled_by_a_key_or_a_button(
    disputed: At, serve_http: Callable[[At], str], open_page: Callable[..., Page], javascript: bool
) -> None:
    page = open_page(f"{serve_http(disputed)}/experiment/label", javascript=javascript)
    for left in (2, 1):
        page.get_by_text(f"{left} left").wait_for()
        if javascript:
            page.keyboard.press("3")
        else:
            page.get_by_role("button", name=LEMON).click()
    page.get_by_text("Nothing to label").wait_for()
    assert disputed.report()["pairs"]["only_candidate"] == 2
