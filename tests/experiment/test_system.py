"""The experiment on the real system: nginx, both variants, and this service beside them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import sync_playwright

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


def test_a_pair_shows_either_and_a_photo_counts_once(system: System, samples: Path) -> None:
    assert system.abtest("split", "--pair").returncode == 0
    photos = sum(1 for _ in samples.rglob("*.jpg"))
    for _ in range(2):
        replayed = system.abtest("replay", str(samples), "--label-from-folder", "--concurrency", "1")
        assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert f"{photos} of the labels do not count: their photos have one already." in replayed.stdout
    facts = eventually(lambda: (found := report(system))["pairs"]["scored_by_both"] == 2 * photos and found)
    assert set(facts["traffic"]["assigned"]) == set(NAMES)
    assert (facts["labels"]["given"], facts["labels"]["again"]) == (2 * photos, photos)
    assert facts["verdict"]["labels"] == photos
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
        page.get_by_role("link", name="Another photo").click()
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


def test_a_candidate_that_is_killed_is_taken_out_and_brought_back(system: System, photo: bytes) -> None:
    before = system.change("split", rule="round_robin")["split"]["shares"]
    system.kill("app_vgg16")
    with ThreadPoolExecutor(4) as pool:

        def out() -> bool:
            # Another variant answers for it all the while.
            assert {answer.status_code for answer in pool.map(lambda _: system.predict(photo), range(8))} == {200}
            return bool(report(system)["guardrail"]["outage"])

        eventually(out)
    taken_out = system.split()["in_force"]
    assert (taken_out["action"], taken_out["split"]["shares"]) == ("outage", {"custom": 100})
    assert "vgg16 failed all of its last requests" in system.abtest("status").stdout
    system.start("app_vgg16")
    eventually(lambda: system.split()["in_force"]["action"] == "back")
    assert system.split()["in_force"]["split"]["shares"] == before
    decision = eventually(lambda: (found := report(system)["decisions"][0])["action"] == "back" and found)
    assert decision["weights"]["custom"]["sha256"]
    assert "vgg16 is ready again and gets its share." in system.log("experiment")
