"""Every page in every state, light and dark: axe finds nothing, and nothing hangs over the edge of a phone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.classes import LEMON
from tests.pages.states import States, pair, states
from tests.system import System

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
NAMES = [
    *("try", "try-chosen", "try-refused", "error-400", "error-404"),
    *("result", "result-noted", "result-answers", "result-undone"),
    *("experiment-first-run", "experiment-5-labels", "experiment-goes-on", "experiment-verdict"),
    *("experiment-verdict-over-time", "experiment-invalid", "experiment-guardrail", "experiment-error-404"),
    *("api", "api-opened", "login", "login-refused", "experiment-logged-in"),
    *("label", "label-undo", "label-done", "label-nothing", "label-not-kept"),
]


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory, samples: Path) -> Iterator[States]:
    folder = tmp_path_factory.mktemp("states")
    with System(folder) as system:
        pair(system)
        with states(folder, system, samples / LEMON / "two-lemons-on-a-table.jpg") as found:
            yield found


@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_nothing_and_nothing_hangs_over(name: str, every: States, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        page = context.new_page()
        every[name](page)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
        for width in (390, 320):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
    finally:
        context.close()


def test_every_state_is_looked_at(every: States) -> None:
    assert set(every) == set(NAMES)
