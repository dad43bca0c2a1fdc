"""From photos to the verdict, on the whole system as ``make run`` starts it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import expect, sync_playwright

from tests.project import Project
from tests.system import eventually
from training.photos import find
from training.split import split


@pytest.fixture
def photos(fruits: Path, tmp_path: Path) -> Path:
    """Photos that neither model was trained on, in folders by class."""
    folder = tmp_path / "photos"
    for photo in split(find(fruits))[1]:
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


def test_of_two_equal_ones_none_is_better(project: Project, photos: Path) -> None:
    shutil.rmtree(project.folder / "app_vgg16")
    shutil.copytree(project.folder / "app_custom", project.folder / "app_vgg16")
    main = project.folder / "app_vgg16" / "app" / "main.py"
    main.write_text(main.read_text().replace("custom", "vgg16"))
    with project.started():
        eventually(lambda: "Ready: " in project.said())
        facts = _replayed(project, photos)

    assert facts["verdict"]["outcome"] in {"keep_going", "equivalent"}
    assert facts["pairs"]["scored_by_both"] == facts["verdict"]["labels"]
