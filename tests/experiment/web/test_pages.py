"""The report as people see it, in a browser and without one."""

import csv
import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect, sync_playwright

from tests.classes import APPLE, LEMON
from tests.experiment.conftest import At, both, line
from tests.pages.states import fill
from tests.system import eventually


@pytest.fixture
def open_page(chromium: str) -> Iterator[Callable[..., Page]]:
    """Opens an address; whatever the browser complains of fails the test."""
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"]
        )

        def failed(request: Request) -> None:
            # What a page still loads when the next one is opened is given up.
            if request.failure != "net::ERR_ABORTED":
                complaints.append(f"{request.url}: {request.failure}")

        def make(url: str, width: int = 1280, javascript: bool = True) -> Page:
            context = browser.new_context(viewport={"width": width, "height": 800}, java_script_enabled=javascript)
            page = context.new_page()
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("requestfailed", failed)
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
    assert "No labels yet: three ways to start" in page.text
    for empty in ("Accuracy", "Answering times", "Class by class", "Guardrails</h2>"):
        assert empty not in page.text


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
        "Split not checked yet",
        "Decided",
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
    assert page.get_by_text("No labels yet: three ways to start").count()
    at_work.ledger.write(line("a"))
    eventually(lambda: at_work.give("a", LEMON) == 201)
    page.get_by_text("1 of 1 right", exact=True).wait_for(timeout=60_000)


def test_what_a_reader_is_at_stays_and_what_changed_is_said(
    at_work: At, address: str, open_page: Callable[..., Page]
) -> None:
    at_work.force()
    fill(at_work, labels=20)
    page = open_page(f"{address}/experiment")
    page.locator("#fair-details summary").click()
    link = page.get_by_role("link", name="CSV of latency")
    link.focus()
    at = page.evaluate("scrollY")

    assert at_work.give("20", "other") == 201
    at_work.ledger.write(line("new"))
    page.locator("#numbers").get_by_text("21", exact=True).wait_for(timeout=60_000)
    eventually(lambda: "21that count" in (page.locator("#news").text_content() or ""))
    page.locator("#numbers").get_by_text("201", exact=True).wait_for(timeout=60_000)
    page.locator("#traffic").get_by_text("201").wait_for(timeout=60_000)

    assert page.locator("#fair-details").get_attribute("open") is not None
    assert link.evaluate("link => link === document.activeElement")
    assert page.evaluate("scrollY") == at


def test_charts_say_their_values_by_pointer_and_by_key(
    at_work: At, address: str, open_page: Callable[..., Page]
) -> None:
    fill(at_work, labels=40)
    page = open_page(f"{address}/experiment")
    chart, readout = page.locator("#difference .chart"), page.locator("#difference .readout")
    chart.hover()
    expect(readout).to_contain_text("vgg16 less custom")
    chart.focus()
    for key, text in (("End", "40 labels"), ("ArrowLeft", "39 labels"), ("Home", "1 label,")):
        page.keyboard.press(key)
        expect(readout).to_contain_text(text)
    page.get_by_role("link", name="Over time").click()
    expect(page.get_by_role("link", name="By labels")).to_be_visible()


def test_each_chart_comes_as_a_table(at_work: At) -> None:
    fill(at_work, labels=40)
    page = at_work.client.get("/experiment").text
    tables = set(re.findall('href="(/experiment/csv/[a-z]+.csv)"', page))
    assert len(tables) == 6
    for table in tables:
        answer = at_work.client.get(table)
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        head, *rows = csv.reader(answer.text.splitlines())
        assert rows
        assert {len(row) for row in rows} == {len(head)}
    assert at_work.client.get("/experiment/csv/nothing.csv").status_code == 404


def test_a_guardrail_wins_over_the_green_of_a_verdict(at_work: At) -> None:
    fill(at_work, labels=160)
    assert 'class="verdict better"' in at_work.client.get("/experiment").text
    at_work.force("weighted", {"custom": 100}, "guardrail", "vgg16 failed 40 of its last 120 requests")
    eventually(lambda: at_work.report()["guardrail"]["latched"])
    page = at_work.client.get("/experiment").text
    assert 'class="verdict latched"' in page
    assert "A guardrail acted" in page
    assert at_work.client.get("/experiment/state.json").json() == {"state": "guardrail"}


def test_first_steps_run_as_printed_in_this_deployment(serve: Callable[..., Any]) -> None:
    with serve(abtest_command="docker-compose exec -T experiment abtest") as running:
        page = unescape(running.client.get("/experiment").text)
    assert "docker-compose exec -T experiment abtest split --pair<" in page
    assert 'docker-compose run --rm -T -v "$PWD/sample_data:/photos:ro" experiment abtest replay /photos' in page
    assert "http://testserver/feedback" in page


def test_browsers_get_pages_and_programs_json(at_work: At) -> None:
    for path, status in (("/experiment/nothing", 404), ("/experiment?id=99", 404), ("/experiment?id=first", 422)):
        page = at_work.client.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
        assert page.status_code == status
        assert "<h1>" in page.text
    assert at_work.client.get("/experiment/nothing").json() == {"detail": "Not Found"}


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


def test_a_label_is_undone_and_a_skipped_photo_does_not_come_at_once(
    disputed: At, serve_http: Callable[[At], str], open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{serve_http(disputed)}/experiment/label")
    shown = page.locator("[name=request_id]").first
    for _ in range(4):
        before = shown.input_value()
        page.keyboard.press("s")
        page.wait_for_url(f"**/label?skip={before}")
        assert shown.input_value() != before

    labelled = shown.input_value()
    page.keyboard.press("3")
    page.get_by_text("1 left").wait_for()
    expect(page.get_by_text(f"The photo before: {LEMON}.")).to_be_visible()
    page.keyboard.press("u")
    page.get_by_text("2 left").wait_for()
    assert shown.input_value() == labelled
    assert disputed.report()["labels"]["given"] == 0

    page.keyboard.press("1")
    page.get_by_text("1 left").wait_for()
    page.keyboard.press("s")
    page.get_by_role("heading", name="That was the only one").wait_for()
    page.goto(page.url.split("?")[0] + "/done")
    expect(page.get_by_role("listitem").filter(has_text="custom")).to_contain_text([f"{APPLE} right"])
