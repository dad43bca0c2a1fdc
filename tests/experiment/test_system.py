"""The experiment on the real system: nginx, both variants, and this service beside them."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import sync_playwright
from typer.testing import CliRunner

from abtest.cli import app
from tests.system import System, eventually

NAMES = ["custom", "vgg16"]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("experiment")) as running:
        eventually(lambda: report(running))
        yield running


def report(system: System) -> dict[str, Any]:
    answer = requests.get(f"{system.url}/experiment.json", timeout=10)
    answer.raise_for_status()
    facts: dict[str, Any] = answer.json()
    return facts


def test_photos_are_replayed_into_the_report(system: System, tmp_path: Path, photo: bytes) -> None:
    system.change("split", rule="round_robin", shadow={"variant": "vgg16"})
    for label in ("apple", "lemon"):
        (tmp_path / label).mkdir()
        for number in range(4):
            (tmp_path / label / f"{number}.jpg").write_bytes(photo)
    arguments = ["--url", system.url, "replay", str(tmp_path), "--label-from-folder", "--concurrency", "2"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    facts = eventually(lambda: (found := report(system))["pairs"]["scored_by_both"] == 4 and found)
    assert facts["traffic"]["assigned"] == {"custom": 4, "vgg16": 4}
    assert facts["labels"]["given"] == 8
    assert facts["labels"]["unused"] == 0
    assert {check["name"]: check["ok"] for check in facts["checks"]}["split of epoch 2"]
    eventually(lambda: set(report(system)["weights"]) == set(NAMES))


def test_people_tell_on_the_result_page_without_a_script(
    system: System, tmp_path: Path, photo: bytes, chromium: str
) -> None:
    (tmp_path / "a.jpg").write_bytes(photo)
    before = report(system)["labels"]["given"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"]
        )
        page = browser.new_context(java_script_enabled=False).new_page()
        page.goto(system.url)
        page.set_input_files("input[type=file]", str(tmp_path / "a.jpg"))
        page.click("button[type=submit]")
        page.get_by_role("button", name="other").click()
        page.get_by_role("heading", name="Thank you").wait_for()
        page.get_by_role("link").first.click()
        page.wait_for_url(f"{system.url}/")
        browser.close()
    eventually(lambda: report(system)["labels"]["given"] == before + 1)


def test_predictions_go_on_without_the_service_and_are_caught_up(system: System, photo: bytes) -> None:
    before = sum(report(system)["traffic"]["assigned"].values())
    system.kill("experiment")
    assert [system.predict(photo).status_code for _ in range(4)] == [200] * 4
    away = requests.post(f"{system.url}/feedback", json={}, timeout=10)
    assert (away.status_code, away.headers["content-type"]) == (503, "application/json")
    system.start("experiment")
    eventually(lambda: sum(report(system)["traffic"]["assigned"].values()) == before + 4)


def test_a_candidate_that_fails_loses_its_traffic_within_ten_seconds(system: System, photo: bytes) -> None:
    system.change("split", rule="round_robin")
    end = time.monotonic() + 60
    with ThreadPoolExecutor(4) as pool:

        def ask(_: int) -> int:
            return system.predict(photo, **{"X-Request-ID": ""}).status_code

        assert set(pool.map(ask, range(60))) == {200}
        system.kill("app_vgg16")
        failed, asked = time.time(), 0
        while not report(system)["guardrail"]["latched"]:
            assert time.monotonic() < end
            # Another variant answers for it all the while.
            assert set(pool.map(ask, range(8))) == {200}
            asked += 8
    changes = system.split()["history"]
    assert [change["action"] for change in changes].count("guardrail") == 1
    took = changes[-1]["ts"] - failed
    # Ten seconds at 20 requests a second; a machine too busy for so many has as many requests.
    assert took < 10 or asked < 200
    assert changes[-1]["split"]["shares"] == {"custom": 100.0, "vgg16": 0.0}
    assert "vgg16 failed" in changes[-1]["reason"]
    decision = eventually(lambda: (found := report(system)["decisions"][0])["action"] == "guardrail" and found)
    assert decision["weights"]["custom"]["sha256"]
    assert "All traffic goes to custom: vgg16 failed" in system.log("experiment")
