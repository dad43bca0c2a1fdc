"""From photos to the verdict, on the whole system as ``make run`` starts it."""

import re
import shutil
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import expect, sync_playwright

from tests.project import Project
from tests.system import eventually
from training.network import aside, starter
from training.photos import find

pytestmark = pytest.mark.given_classes


@pytest.fixture
def photos(fruits: Path, tmp_path: Path) -> Path:
    """Photos that neither model was trained on, in folders by class."""
    folder = tmp_path / "photos"
    for photo in aside(aside(find(fruits), starter("app_custom")), starter("app_vgg16")):
        place = folder / photo.path.parent.name
        place.mkdir(parents=True, exist_ok=True)
        (place / photo.path.name).symlink_to(photo.path)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder)


def _report(project: Project) -> dict[str, Any]:
    answer = requests.get(f"{project.url}/experiment.json", timeout=10)
    answer.raise_for_status()
    facts: dict[str, Any] = answer.json()
    return facts


def _replayed(project: Project, photos: Path) -> dict[str, Any]:
    """The report once every photo is in it, each scored by both variants, the slow one unseen."""
    assert project.abtest("split", "custom=100", "--shadow", "vgg16").returncode == 0
    replay = project.abtest("replay", str(photos), "--label-from-folder", "--concurrency", "2")
    assert replay.returncode == 0, replay.stdout + replay.stderr
    count = sum(1 for _ in photos.rglob("*.jpg"))
    return eventually(lambda: (found := _report(project))["verdict"]["labels"] == count and found)


def test_the_better_one_is_found_and_promoted(project: Project, photos: Path, chromium: str) -> None:
    with project.started():
        eventually(lambda: "Ready: " in project.said())
        facts = _replayed(project, photos)
        verdict = facts["verdict"]
        with sync_playwright() as playwright:
            arguments = ["--no-sandbox", "--disable-background-networking"]
            browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
            page = browser.new_page()
            page.goto(f"{project.url}/experiment")
            expect(page.get_by_role("heading", name="vgg16 is better").first).to_be_visible()
            expect(page.get_by_text("abtest promote vgg16")).to_be_visible()
            browser.close()
        said = project.abtest("report").stdout
        promoted = project.abtest(*verdict["next"]["command"].split()[1:])
        last = eventually(lambda: (found := _report(project)["decisions"][0])["action"] == "promote" and found)

    assert verdict["headline"].startswith("vgg16 is better: +")
    assert verdict["variant"] == "vgg16"
    assert verdict["e_value"] >= verdict["e_value_needed"] == 20
    assert "vgg16 is better" in said
    assert "In force: weighted custom=0 vgg16=100" in promoted.stdout
    assert last["figures"]["verdict"].startswith("vgg16 is better")
    assert facts["guardrail"]["latched"] is False


def _serve_under_both_names(project: Project, name: str) -> None:
    other = "vgg16" if name == "custom" else "custom"
    shutil.rmtree(project.folder / f"app_{other}")
    shutil.copytree(project.folder / f"app_{name}", project.folder / f"app_{other}")


def _wrong(project: Project, photos: Path, most: int) -> Iterator[Path]:
    """Photos that are answered wrong, a few of them; whoever asks for a variant by name takes no part."""
    for photo in islice(sorted(photos.rglob("*.jpg")), 0, None, 2):
        with photo.open("rb") as file:
            answer = requests.post(
                f"{project.url}/predict", files={"file": file}, headers={"X-Variant": "custom"}, timeout=60
            )
        if answer.json()["likely_class"] != photo.parent.name:
            yield photo
            most -= 1
        if not most:
            return


def _complain(project: Project, photos: Iterable[Path], chromium: str) -> int:
    """What somebody does in a browser who speaks up only where the answer was wrong; how often."""
    times = 0
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_context(java_script_enabled=False).new_page()
        for photo in photos:
            page.goto(project.url)
            page.set_input_files("input[type=file]", str(photo.resolve()))
            page.click("button[type=submit]")
            page.get_by_text("Was that right?").wait_for()
            complaint = page.get_by_role("button", name=photo.parent.name, exact=True)
            # A page reads the photo at a larger scale, which may have turned a close decision.
            if complaint.count():
                complaint.click()
                page.get_by_role("heading", name="Thank you").wait_for()
                times += 1
        browser.close()
    return times


@pytest.mark.parametrize("name", ["custom", "vgg16"])
def test_of_two_equal_ones_none_is_better(project: Project, photos: Path, chromium: str, name: str) -> None:
    _serve_under_both_names(project, name)
    plan = project.folder / "experiment.toml"
    plan.write_text(re.sub(r"(?m)^minimum_labels.*$", "minimum_labels = 4", plan.read_text()))
    with project.started():
        eventually(lambda: "Ready: " in project.said())
        assert project.abtest("split", "--pair").returncode == 0
        complaints = _complain(project, _wrong(project, photos, 8), chromium)
        assert complaints >= 4
        facts = eventually(lambda: (found := _report(project))["verdict"]["labels"] == complaints and found)
        assert facts["verdict"]["outcome"] == "keep_going"
        assert facts["pairs"]["disagree"] == 0
        facts = _replayed(project, photos)

    assert facts["verdict"]["outcome"] in {"keep_going", "equivalent"}
    # Photos that were shown in the browser came twice, and count once.
    assert facts["pairs"]["scored_by_both"] >= facts["verdict"]["labels"] + complaints
