"""Every page there is, in every state: what the tests look at, and ``python -m tests.pages.screenshots`` draws."""

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.experiment.conftest import At, both, line, on_port
from tests.system import System, eventually
from variants import CLASSES

__all__ = ["States", "fill", "pair", "states"]

Show = Callable[[Page], object]
"""Brings a page of a new window to a state."""

States = dict[str, Show]


def fill(running: At, labels: int = 60, photos: int = 200, shares: tuple[float, float] = (0.6, 0.95)) -> None:
    """Photos of which custom and vgg16 get ``shares`` right, some of them with labels."""
    dice = random.Random(2)
    truths = {str(number): dice.choice(CLASSES) for number in range(photos)}
    names = ("custom", "vgg16")
    for number, (name, truth) in enumerate(truths.items()):
        answers = [truth if dice.random() < share else CLASSES[0] for share in shares]
        seconds = dice.lognormvariate(-3, 0.5)
        shown = number % 2
        for which in (1 - shown, shown):
            by = "round_robin" if which == shown else "shadow"
            took = (seconds / 4, seconds)[which]
            running.ledger.write(line(name, names[which], by, predicted_class=answers[which], upstream_time_s=took))
    eventually(lambda: sum(running.report()["traffic"]["assigned"].values()) == photos)
    for name in list(truths)[:labels]:
        assert running.give(name, truths[name]) == 201
    running.service._cache.clear()


def _try(system: System, photo: Path) -> States:
    wrong = system.folder / "notes.txt"
    wrong.write_text("milk and bread")
    broken = system.folder / "broken.jpg"
    broken.write_text("no photo at all")

    def chosen(page: Page, path: Path = photo) -> None:
        page.goto(system.url)
        page.get_by_label("Photo", exact=True).set_input_files(path)

    def previewed(page: Page) -> None:
        chosen(page)
        expect(page.get_by_alt_text("The photo you chose")).to_be_visible()

    def refused(page: Page) -> None:
        chosen(page, wrong)
        expect(page.get_by_role("alert")).to_be_visible()

    def error(page: Page) -> None:
        chosen(page, broken)
        page.get_by_role("button", name="Tell me").click()
        expect(page.get_by_role("heading", name="That did not work")).to_be_visible()

    def result(page: Page) -> None:
        page.goto(system.url)
        page.locator(".samples button").nth(2).click()
        expect(page.locator(".bars").first).to_be_visible()

    def noted(page: Page) -> None:
        result(page)
        page.locator(".feedback button").first.click()
        expect(page.get_by_role("button", name="Undo")).to_be_visible()

    def answers(page: Page) -> None:
        noted(page)
        page.get_by_role("button", name="See what the other variant said").click()
        expect(page.get_by_text("Your label stays.")).to_be_visible()

    def undone(page: Page) -> None:
        noted(page)
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_text("Taken back")).to_be_visible()

    def all_of_the_api(page: Page) -> None:
        page.goto(f"{system.url}/docs")
        while page.locator(".operation:not([open])").count():
            page.locator(".operation:not([open]) > summary").first.click()

    return {
        "try": _open(system.url),
        "try-chosen": previewed,
        "try-refused": refused,
        "error-400": error,
        "error-404": _open(f"{system.url}/no/such/page"),
        "result": result,
        "result-noted": noted,
        "result-answers": answers,
        "result-undone": undone,
        "api": _open(f"{system.url}/docs"),
        "api-opened": all_of_the_api,
    }


def _open(url: str) -> Show:
    return lambda page: page.goto(url)


def _reports(folder: Path, stack: ExitStack) -> States:
    """The report in each of its states, of services that read ledgers made up."""
    found: States = {}

    def begin(name: str, *split: str) -> At:
        running = stack.enter_context(At(folder / name, abtest_command=".venv/bin/abtest"))
        running.force(*split)
        found[f"experiment-{name}"] = _open(stack.enter_context(on_port(running)) + "/experiment")
        return running

    begin("first-run")
    fill(begin("5-labels"), labels=5)
    fill(begin("goes-on"), labels=150, shares=(0.8, 0.84))
    decided = begin("verdict")
    fill(decided, labels=160)
    found["experiment-verdict-over-time"] = _open_by_time(found["experiment-verdict"])
    invalid = begin("invalid")
    for number in range(900):
        invalid.ledger.write(line(f"r{number}", "custom" if number % 3 else "vgg16", epoch=1))
    eventually(lambda: invalid.report()["verdict"]["outcome"] == "invalid")
    guarded = begin("guardrail")
    fill(guarded, labels=160)
    guarded.force("weighted", {"custom": 100}, "guardrail", "vgg16 failed 40 of its last 120 requests, custom 0 of 120")
    eventually(lambda: guarded.report()["guardrail"]["latched"])
    return found


def _open_by_time(show: Show) -> Show:
    def by_time(page: Page) -> None:
        show(page)
        page.get_by_role("link", name="Over time").click()
        expect(page.get_by_role("link", name="By labels")).to_be_visible()

    return by_time


def _labelling(folder: Path, photo: Path, stack: ExitStack) -> States:
    """The label page with photos, after the first, with none left, and without any kept."""
    kept = folder / "kept"
    kept.mkdir()
    names = [f"p{number}" for number in range(12)]
    for name in names:
        shutil.copy(photo, kept / f"{name}.jpg")
    running = stack.enter_context(At(folder / "labelling", keep_images=kept))
    running.ledger.write(*(both(name, CLASSES[0], CLASSES[-1]) for name in names))
    eventually(lambda: running.report()["pairs"]["disagree"] == len(names))
    for name in names[:3]:
        running.client.post("/experiment/label", data={"request_id": name, "true_label": CLASSES[-1]})
    url = stack.enter_context(on_port(running))
    empty = stack.enter_context(on_port(stack.enter_context(At(folder / "nothing", keep_images=folder))))
    without = stack.enter_context(on_port(stack.enter_context(At(folder / "unkept"))))
    return {
        "label": _open(f"{url}/experiment/label"),
        "label-undo": _open(f"{url}/experiment/label?last={names[0]}"),
        "label-done": _open(f"{url}/experiment/label/done"),
        "label-nothing": _open(f"{empty}/experiment/label"),
        "label-not-kept": _open(f"{without}/experiment/label"),
        "experiment-error-404": _open(f"{without}/experiment?id=99"),
    }


def _logging_in(folder: Path, stack: ExitStack) -> States:
    """The form for a token, one that is nobody's, and the report of whoever is logged in."""
    running = stack.enter_context(At(folder / "guarded", access="token"))
    url = stack.enter_context(on_port(running))
    operator = running.operator["Authorization"].split()[1]

    def log_in(page: Page, token: str) -> None:
        page.goto(f"{url}/experiment")
        page.get_by_label("Your token").fill(token)
        page.get_by_role("button", name="Log in").click()

    def refused(page: Page) -> None:
        log_in(page, "not-a-token")
        expect(page.get_by_role("alert")).to_be_visible()

    def inside(page: Page) -> None:
        log_in(page, operator)
        expect(page.get_by_role("button", name="Log out")).to_be_visible()

    return {"login": _open(f"{url}/experiment/login"), "login-refused": refused, "experiment-logged-in": inside}


@contextmanager
def states(folder: Path, system: System, photo: Path) -> Iterator[States]:
    """All of them by name; ``system`` splits in pairs, so that there is another answer to see."""
    with ExitStack() as stack:
        yield {
            **_try(system, photo),
            **_reports(folder, stack),
            **_labelling(folder, photo, stack),
            **_logging_in(folder, stack),
        }


def pair(system: System) -> None:
    """Lets both variants score every photo."""
    system.change("split", rule="pair", shares={})
