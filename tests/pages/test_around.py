"""The way around: one header, pages for people, JSON for programs, and one description of it all."""

import json
import re
import subprocess

import pytest
import requests
from playwright.sync_api import expect

from experiment.web.description import FILE, describe
from local.parts import ROOT
from tests.pages.conftest import OpenPage
from tests.system import System, eventually
from variants import TITLE

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
LINKS = ["Try", "Experiment", "Label", "API"]


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without"])
@pytest.mark.parametrize("path", ["/", "/docs", "/experiment", "/experiment/label", "/no/page", "/experiment/none"])
def test_every_page_leads_to_every_other(path: str, scripts: bool, open_page: OpenPage) -> None:
    page = open_page(path, java_script_enabled=scripts)
    links = page.get_by_role("navigation", name="Site").get_by_role("link")
    assert [text.split()[0] for text in links.all_inner_texts()] == LINKS
    # Drawn, so its file is there and the page's rules allow it.
    expect(links.first.locator("img")).not_to_have_js_property("naturalWidth", 0)
    for number, heading in enumerate([TITLE, "Keep going", "No photos are kept"]):
        links.nth(number).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)


def test_the_experiments_state_stands_beside_its_link(open_page: OpenPage) -> None:
    page = open_page("/")
    expect(page.locator("#state")).to_have_text("running")


def test_a_label_is_acknowledged_in_place_and_undone(open_page: OpenPage, shared_system: System) -> None:
    page = open_page("/")
    page.locator(".samples button").first.click()
    address = page.url
    page.locator(".feedback button").first.click()
    noted = page.get_by_role("region", name="Your label")
    expect(noted).to_contain_text("Noted:")
    expect(noted).to_be_focused()
    expect(noted).to_contain_text("so far: see which model is ahead")
    assert page.url == address
    expect(page.get_by_alt_text("The photo you sent")).to_be_visible()

    noted.get_by_role("button", name="Undo").click()
    expect(noted).to_contain_text("Taken back")
    noted.get_by_role("button", name="other").click()
    expect(noted).to_contain_text("Noted: other.")
    noted.get_by_role("link", name=re.compile("see which model is ahead")).click()
    assert page.url == f"{shared_system.url}/experiment"


def test_a_label_without_javascript(open_page: OpenPage) -> None:
    page = open_page("/", java_script_enabled=False)
    page.locator(".samples button").nth(1).click()
    page.locator(".feedback button").first.click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="Taken back")).to_be_visible()


def test_what_cannot_be_noted_is_said_in_place(open_page: OpenPage, shared_system: System) -> None:
    page = open_page("/")
    page.locator(".samples button").nth(2).click()
    request_id = page.locator("[name=request_id]").first.input_value()
    say = {"request_id": request_id, "true_label": "other"}
    eventually(lambda: requests.post(f"{shared_system.url}/feedback", json=say, timeout=30).ok)
    page.locator(".feedback button").first.click()
    expect(page.locator(".feedback [role=alert]")).to_contain_text("has another label already")
    expect(page.locator(".feedback button").first).to_be_visible()


@pytest.mark.parametrize("path", ["/no/such/page", "/experiment/nothing", "/static/nothing.css"])
def test_404_is_a_page_for_browsers_and_json_for_programs(path: str, shared_system: System) -> None:
    page = requests.get(shared_system.url + path, headers=BROWSER, timeout=10)
    answer = requests.get(shared_system.url + path, timeout=10)
    assert (page.status_code, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert 'role="alert"' in page.text
    assert (answer.status_code, list(answer.json())) == (404, ["detail"])


@pytest.mark.parametrize("path", ["/feedback", "/experiment/label", "/result/", "/predict", "/nowhere"])
def test_413_is_a_page_for_browsers_and_json_for_programs(path: str, shared_system: System) -> None:
    body = bytes(10 * 2**20 + 1)
    page = requests.post(shared_system.url + path, data=body, headers=BROWSER, timeout=30)
    answer = requests.post(shared_system.url + path, data=body, timeout=30)
    assert page.status_code == answer.status_code == 413
    # The two places for photos have one kind of answer each.
    assert ('role="alert"' in page.text) == (path != "/predict")
    assert answer.headers["Content-Type"].startswith("text/html" if path == "/result/" else "application/json")


def test_the_description_is_that_of_what_nginx_serves(shared_system: System) -> None:
    description = requests.get(f"{shared_system.url}/openapi.json", timeout=10).json()
    assert description["info"]["title"] == TITLE
    paths = description["paths"]
    assert {"/", "/predict", "/result/", "/feedback", "/experiment", "/experiment.json", "/healthz"} <= set(paths)
    assert not {"/livez", "/readyz", "/metrics"} & set(paths)
    for path, methods in paths.items():
        for method in methods:
            answer = requests.request(method, shared_system.url + path.replace("{", "").replace("}", ""), timeout=30)
            assert (answer.status_code, path, method) != (405, path, method)
            assert answer.status_code != 404 or "{" in path or "request_id" in answer.text, (path, method)


def test_the_documentations_commands_run_as_they_stand(open_page: OpenPage) -> None:
    page = open_page("/docs", java_script_enabled=False)
    commands = page.locator(".command code").evaluate_all("all => all.map((one) => one.textContent)")
    assert len(commands) > 15
    for command in commands:
        if "{" in command.split()[-1]:
            continue  # somebody has to say which
        said = subprocess.run(
            ["bash", "-c", f"{command} -s -o /dev/null -w '%{{http_code}}'"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        # Where "…" stands for a value, that is what is wrong with it.
        refused = {"401", "403", "404", "422"} if "…" in command or "-d" in command else set()
        assert said.stdout in {"200", "303", *refused}, command


def test_the_experiments_part_of_the_description_is_up_to_date() -> None:
    assert json.loads(FILE.read_text()) == describe(), "run: python -m experiment.web.description"


def test_the_documentation_has_one_title(open_page: OpenPage) -> None:
    page = open_page("/docs")
    expect(page.get_by_role("heading", name=re.compile(re.escape(TITLE)))).to_be_visible()
    for path in ("/predict", "/feedback", "/experiment.json", "/healthz"):
        expect(page.locator(f'[data-path="{path}"]').first).to_be_visible()


def test_no_template_names_a_class() -> None:
    for folder in ("look", "serving", "experiment/web", "nginx"):
        for file in (ROOT / folder).rglob("*"):
            if file.suffix in {".html", ".js", ".j2", ".css"}:
                assert not re.search("fruit|apple(?!-)|grapes|lemon", file.read_text(), re.IGNORECASE), file
