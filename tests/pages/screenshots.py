"""Draws every page in every state, wide and narrow, light and dark: ``python -m tests.pages.screenshots DIR``."""

import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import sync_playwright

from tests.classes import LEMON
from tests.conftest import CHROMIUM
from tests.pages.states import pair, states
from tests.system import System

_PHOTO = Path(__file__).parents[2] / "sample_data" / LEMON / "two-lemons-on-a-table.jpg"
# Those that the README shows, and how much of them.
_README = {"result": 660, "experiment-verdict": 1222}
_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def main(out: Path, wanted: str = "") -> None:
    """Writes a PNG of each state whose name contains ``wanted``."""
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="ab-shots-") as folder,
        System(Path(folder)) as system,
        sync_playwright() as playwright,
    ):
        pair(system)
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        with states(Path(folder), system, _PHOTO) as found:
            for name, show in found.items():
                if wanted not in name:
                    continue
                for width in (1280, 390):
                    context = browser.new_context(viewport={"width": width, "height": 800}, has_touch=width == 390)
                    page = context.new_page()
                    show(page)
                    for scheme in _SCHEMES:
                        page.emulate_media(color_scheme=scheme)
                        page.screenshot(path=out / f"{name}-{width}-{scheme}.png", full_page=True)
                    if width == 1280 and name in _README:
                        page.emulate_media(color_scheme="light")
                        page.set_viewport_size({"width": 1280, "height": _README[name]})
                        page.screenshot(path=out / f"README-{name}.png")
                    context.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots"), *sys.argv[2:3])
