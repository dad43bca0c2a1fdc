"""For everybody: by keyboard, on a phone, in the dark, read aloud."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.pages.conftest import OpenPage, watched
from tests.serving.photos import encoded, quarters
from tests.system import System
from variants import CLASSES

# Of each text its contrast with what is behind it, by WCAG 2; what is disabled is exempt.
CONTRASTS = """() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = parse(colour).slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if ((parse(colour)[3] ?? 1) === 1) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !node.checkVisibility() || node.closest(":disabled")) continue;
    found.push([texts.currentNode.data.trim(), contrast(getComputedStyle(node).color, behind(node))]);
  }
  for (const input of document.querySelectorAll("input[type=file]")) {
    const button = getComputedStyle(input, "::file-selector-button");
    found.push(["the button that chooses a file", contrast(button.color, button.backgroundColor)]);
  }
  return found;
}"""

# What reaches beyond the right edge of the window.
OVERHANGS = """() => [...document.querySelectorAll("body *")]
  .filter((node) => node.checkVisibility() && node.getBoundingClientRect().right > innerWidth + 0.5)
  .map((node) => node.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def opened(browser: Browser, shared_system: System) -> Iterator[OpenPage]:
    with watched(browser, shared_system.url) as open_page:
        yield open_page


@pytest.fixture(scope="module")
def long_name(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo whose name does not fit any line."""
    path = tmp_path_factory.mktemp("photos") / ("a_name_as_cameras_give_it_" * 5 + ".jpg")
    path.write_bytes(encoded(quarters(1200, 900), "JPEG"))
    return path


@pytest.fixture(scope="module", params=["form", "chosen", "refused", "result", "error"])
def shown(request: pytest.FixtureRequest, opened: OpenPage, long_name: Path, no_photo: Path) -> Page:
    """The pages of a variant, each in its states."""
    state = request.param
    page = opened()
    if state != "form":
        chosen = page.get_by_label("Photo", exact=True)
        if state == "refused":
            chosen.set_input_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"milk"})
        else:
            chosen.set_input_files(no_photo if state == "error" else long_name)
    if state == "chosen":
        expect(page.get_by_alt_text("The photo you chose")).to_be_visible()
    elif state == "refused":
        expect(page.get_by_role("alert")).to_be_visible()
    elif state != "form":
        page.get_by_role("button", name="Tell me").click()
        expect(page.locator(".bars" if state == "result" else "[role=alert]")).to_be_visible()
    return page


@pytest.fixture
def page(shown: Page) -> Page:
    shown.set_viewport_size({"width": 1280, "height": 800})
    shown.emulate_media(color_scheme="light")
    return shown


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(scheme: Literal["light", "dark"], page: Page) -> None:
    page.emulate_media(color_scheme=scheme)

    contrasts = page.evaluate(CONTRASTS)

    assert len(contrasts) > 3
    assert [(text, contrast) for text, contrast in contrasts if contrast < 4.5] == []


def test_the_dark_scheme_is_dark(page: Page) -> None:
    background = "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)"
    assert min(page.evaluate(background)) > 200

    page.emulate_media(color_scheme="dark")
    assert max(page.evaluate(background)) < 60


@pytest.mark.parametrize("width", [320, 360, 390, 768])
def test_nothing_hangs_over_the_edge(width: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 740})

    assert page.evaluate("innerWidth") == width
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OVERHANGS) == []


def test_a_finger_hits_it(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})

    for control in page.locator(":is(header, main) :is(button, input:not([type=hidden]), a, summary):visible").all():
        box = control.bounding_box()
        assert box
        assert box["height"] >= 36, control.inner_text()
        assert box["width"] >= 44


def test_where_the_keyboard_is_can_be_seen(page: Page) -> None:
    controls = page.locator(":is(button:enabled, input:not([type=hidden]):enabled, a, summary):visible").count()
    page.locator("body").evaluate("body => { body.tabIndex = -1; body.focus() }")

    for _ in range(controls):
        page.keyboard.press("Tab")
        style = "getComputedStyle(document.activeElement)"
        assert page.evaluate("document.activeElement.matches('button, input, a, summary')")
        assert page.evaluate(f"{style}.outlineStyle") == "solid"
        assert page.evaluate(f"parseFloat({style}.outlineWidth)") >= 2


def test_can_be_read_aloud(page: Page) -> None:
    assert page.title()
    assert page.locator("html").get_attribute("lang") == "en"
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.get_by_role("main")).to_have_count(1)
    for image in page.locator("img").all():
        assert image.get_attribute("alt") is not None
    for field in page.locator("input:not([type=hidden])").all():
        assert field.evaluate("field => field.labels.length") == 1
    for control in page.locator("button, a").all():
        assert (control.text_content() or "").strip() or control.locator("img[alt]:not([alt=''])").count()
    names = page.locator("[id]").evaluate_all("nodes => nodes.map((node) => node.id)")
    assert len(names) == len(set(names))
    for node in page.locator("[aria-describedby], [aria-labelledby]").all():
        for name in (node.get_attribute("aria-describedby") or node.get_attribute("aria-labelledby") or "").split():
            assert name in names


def test_a_result_is_read_aloud_with_its_numbers(open_page: OpenPage, picture: Path) -> None:
    page = open_page(java_script_enabled=False)
    page.get_by_label("Photo", exact=True).set_input_files(picture)
    page.get_by_role("button", name="Tell me").click()

    spoken = page.locator(".bars").aria_snapshot()

    assert len(re.findall(r"\d+(\.\d)? %", spoken)) == 3
    assert {name for name in CLASSES if f"term: {name}" in spoken} == set(CLASSES)


def test_by_keyboard_alone(open_page: OpenPage, picture: Path) -> None:
    page = open_page()
    page.on("filechooser", lambda _: None)
    page.reload()  # by then Playwright stands in for the dialog; told only at the key, it can come too late

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Photo", exact=True)).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(picture)
    expect(page.get_by_alt_text("The photo you chose")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Tell me")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".bars")).to_be_visible()

    another = page.get_by_role("link", name="Another photo")
    for _ in range(15):
        page.keyboard.press("Tab")
        if another.evaluate("link => link === document.activeElement"):
            break
    expect(another).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Photo", exact=True)).to_be_visible()
