from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.serving.photos import encoded, quarters
from tests.system import System

OpenPage = Callable[..., Page]


class Launch(Protocol):
    def __call__(self, *arguments: str) -> Browser: ...


# Not for the whole session: while it runs, no other test of this thread could run an event loop.
@pytest.fixture(scope="package")
def launch(chromium: str) -> Iterator[Launch]:
    """Starts a browser with further arguments; all are closed in the end."""
    with sync_playwright() as playwright:
        yield lambda *arguments: playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking", *arguments]
        )


@pytest.fixture(scope="package")
def browser(launch: Launch) -> Iterator[Browser]:
    browser = launch()
    yield browser
    browser.close()


@contextmanager
def watched(browser: Browser, url: str) -> Iterator[OpenPage]:
    """Opens a path of the system in a browser of its own.

    Whatever a test does, nothing may be fetched from another host, and nothing may be wrong that a browser notices.
    """
    faults: list[str] = []
    contexts = []

    def heard(message: ConsoleMessage) -> None:
        # That a refusal's status is not 200 is no fault of the page.
        if message.type in ("error", "warning") and "server responded with a status of 4" not in message.text:
            faults.append(message.text)

    def asked(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("blob", "data") and f"{address.scheme}://{address.netloc}" != url:
            faults.append(f"asked for {request.url}")

    def open_(path: str = "/", **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        context.on("console", heard)
        context.on("weberror", lambda error: faults.append(str(error.error)))
        context.on("request", asked)
        page = context.new_page()
        page.goto(url + path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def open_page(browser: Browser, shared_system: System) -> Iterator[OpenPage]:
    with watched(browser, shared_system.url) as open_page:
        yield open_page


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo to choose."""
    path = tmp_path_factory.mktemp("photos") / "Obst vom Markt.jpg"
    path.write_bytes(encoded(quarters(1200, 900), "JPEG"))
    return path


@pytest.fixture(scope="session")
def no_photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text that calls itself a photo."""
    path = tmp_path_factory.mktemp("photos") / "notes.jpg"
    path.write_text("milk, lemons, bread")
    return path


@pytest.fixture(scope="session")
def too_large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo and so much behind it that it is larger than 10 MB."""
    path = tmp_path_factory.mktemp("photos") / "large.jpg"
    path.write_bytes(encoded(quarters(), "JPEG") + bytes(10 * 2**20))
    return path
