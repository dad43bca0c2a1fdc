"""More classes than there is room for buttons: they are typed, on the result page and on the label page."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from local.parts import ROOT
from tests.experiment.conftest import PLAN_TEXT, both
from tests.pages.conftest import Launch
from tests.system import eventually, free_port
from variants import CLASSES

NAMES = (*CLASSES, *(f"kind {number}" for number in range(11)))

# A model that is sure of the class before the last.
MODEL = """
import numpy as np


class Model:
    def setup(self, artifacts, device):
        pass

    def predict(self, pixels):
        scores = np.full((len(pixels), CLASSES), 0.01, np.float32)
        scores[:, -2] = 1 - 0.01 * (CLASSES - 1)
        return scores
""".replace("CLASSES", str(len(NAMES)))


@contextmanager
def started(arguments: list[str], environment: dict[str, str], probe: str) -> Iterator[None]:
    with subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env={**os.environ, **environment}) as process:
        try:
            eventually(lambda: process.poll() is not None or requests.get(probe, timeout=5).ok, 120)
            assert process.poll() is None, "it has ended"
            yield
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of parts that know so many classes."""
    path = tmp_path_factory.mktemp("many") / "variants.toml"
    entries = [
        f'[[variant]]\nname = "{name}"\nservice = "{service}"\nport = {port}\n'
        for name, service, port in (("custom", "app_many", 8009), ("vgg16", "app_vgg16", 8008))
    ]
    path.write_text(f'title = "Which one?"\nclasses = {json.dumps(NAMES)}\n' + "".join(entries))
    return {"VARIANTS": str(path)}


@pytest.fixture(scope="module")
def result(listed: dict[str, str], launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The result of a sample, from a variant that is asked by the site's name, as through nginx."""
    folder = tmp_path_factory.mktemp("variant") / "app_many"
    (folder / "artifacts").mkdir(parents=True)
    (folder / "artifacts" / "model.bin").touch()
    (folder / "model.py").write_text(MODEL)
    (folder / "variant.toml").write_text('output = "probabilities"\n[input]\nsize = 32\n')
    port = free_port()
    environment = listed | {"PORT": str(port), "FEEDBACK_URL": "/feedback", "CACHE_DIR": str(folder / "cache")}
    with started(["-m", "serving", str(folder)], environment, f"http://127.0.0.1:{port}/readyz"):
        browser = launch(f"--host-resolver-rules=MAP site.test:80 127.0.0.1:{port}")
        page = browser.new_page()
        page.goto("http://site.test/")
        page.locator(".samples button").first.click()
        yield page
        browser.close()


@pytest.fixture(scope="module")
def label_page(
    listed: dict[str, str], browser: Browser, photo: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    """The label page with two photos in dispute."""
    folder, port = tmp_path_factory.mktemp("labelling"), free_port()
    for name in ("kept", "ledger", "data"):
        (folder / name).mkdir()
    for name in ("one", "two"):
        (folder / "kept" / f"{name}.jpg").write_bytes(photo)
    (folder / "plan.toml").write_text(PLAN_TEXT)
    environment = {
        "EXPERIMENT_PORT": str(port),
        "LEDGER_DIR": str(folder / "ledger"),
        "DATA_DIR": str(folder / "data"),
        "STATE_DIR": str(folder / "state"),
        "PLAN": str(folder / "plan.toml"),
        "KEEP_IMAGES": str(folder / "kept"),
    }
    url = f"http://127.0.0.1:{port}"
    with started(["-m", "experiment"], listed | environment, f"{url}/livez"):
        disputed = "".join(both(name, NAMES[3], NAMES[4]) for name in ("one", "two"))
        (folder / "ledger" / "ledger.jsonl").write_text(disputed)
        eventually(lambda: requests.get(f"{url}/experiment.json", timeout=5).json()["pairs"]["disagree"] == 2)
        page = browser.new_page()
        page.goto(f"{url}/experiment/label")
        yield page
        page.close()


def test_a_result_asks_for_a_class_by_its_letters(result: Page) -> None:
    expect(result.get_by_role("heading", level=1)).to_have_text(NAMES[-2])
    expect(result.get_by_text("2 more classes")).to_be_visible()
    expect(result.get_by_role("button", name=f"Yes, {NAMES[-2]}")).to_be_visible()
    offered = result.locator("datalist option").evaluate_all("all => all.map((one) => one.value)")
    assert offered == [*(name for name in NAMES if name != NAMES[-2]), "other"]

    result.get_by_label("Class").fill(NAMES[5])
    with result.expect_request("**/feedback") as sent:
        result.get_by_label("Class").press("Enter")
    assert parse_qs(sent.value.post_data or "")["true_label"] == [NAMES[5]]


def test_a_label_is_typed_and_letters_are_no_keys(label_page: Page) -> None:
    field = label_page.get_by_label("Class")
    expect(field).to_be_focused()
    before = label_page.url
    # "s" skips where no field has the focus.
    field.press_sequentially("kids")
    assert label_page.url == before
    field.press("Enter")
    expect(label_page.get_by_role("alert")).to_contain_text("There is no class 'kids'")

    label_page.go_back()
    field.fill(NAMES[6])
    field.press("Enter")
    expect(label_page.get_by_role("status")).to_have_text(f"The photo before: {NAMES[6]}.")
    expect(label_page.get_by_text("1 left on which the variants disagree, 1 done.")).to_be_visible()


@pytest.mark.parametrize("which", ["result", "label_page"])
def test_axe_finds_nothing_and_nothing_hangs_over(which: str, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(which)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.set_viewport_size({"width": 320, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
