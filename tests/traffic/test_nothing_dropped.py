"""Under constant load, changes of the split and of the processes fail not one request."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests

from traffic.split import Rule, Shadow, make_split

from ..system import System, eventually

NAMES = ["custom", "vgg16"]


class Load:
    """Clients that ask without a pause: some on one connection each, some on a fresh one a request, some large."""

    def __init__(self, system: System, photo: bytes) -> None:
        self.outcomes: Counter[str] = Counter()
        self.answers = 0
        self._url = f"{system.url}/predict"
        self._stop = threading.Event()
        # What follows the end of a JPEG is not read, but it has to be sent.
        large = photo + bytes(6_000_000)
        with_session = [(photo, True), (photo, True), (large, True)]
        self._clients = [*with_session, (photo, False), (large, False)]
        self._threads = ThreadPoolExecutor(len(self._clients))

    def _ask(self, body: bytes, keep_alive: bool) -> None:
        session = requests.Session()
        while not self._stop.is_set():
            try:
                outcome = str(session.post(self._url, files={"file": ("a.jpg", body)}, timeout=60).status_code)
            except requests.RequestException as error:
                outcome = repr(error)
            self.outcomes[outcome] += 1
            self.answers += 1
            if not keep_alive:
                session.close()
                session = requests.Session()
        session.close()

    def answered(self, more: int = 30) -> None:
        """Waits until so many more requests have been answered."""
        goal = self.answers + more
        eventually(lambda: self.answers >= goal)

    @contextmanager
    def going(self) -> Iterator["Load"]:
        done = [self._threads.submit(self._ask, *client) for client in self._clients]
        try:
            self.answered()
            yield self
            self.answered()
        finally:
            self._stop.set()
            self._threads.shutdown()
        for future in done:
            future.result()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("load")) as started:
        yield started


def test_twenty_changes_of_the_split(loaded: System, photo: bytes) -> None:
    rules: list[tuple[Rule, dict[str, float], Shadow | None]] = [
        ("weighted", {"custom": 90, "vgg16": 10}, None),
        ("sticky", {"custom": 80, "vgg16": 20}, Shadow("vgg16", 25)),
        ("round_robin", {}, None),
        ("weighted", {"vgg16": 100}, Shadow("custom", 10)),
    ]
    first = loaded.state.current().epoch
    with Load(loaded, photo).going() as load:
        for rule, shares, shadow in rules * 5:
            loaded.state.change(make_split(rule, shares, NAMES, shadow, loaded.state.current()), "test")
            load.answered(5)

    assert set(load.outcomes) == {"200"}
    assert loaded.state.current().epoch == first + 20


def test_promotion_and_rollback(loaded: System, photo: bytes) -> None:
    before = make_split("round_robin", {}, NAMES, before=loaded.state.current())
    loaded.state.change(before, "test")
    with Load(loaded, photo).going() as load:
        loaded.state.change(make_split("weighted", {"vgg16": 100}, NAMES, before=loaded.state.current()), "promote")
        load.answered(20)
        rolled_back = loaded.state.roll_back()
        load.answered(20)

    assert set(load.outcomes) == {"200"}
    assert rolled_back.rule == "round_robin"


def test_a_variant_killed_one_stopped_and_each_restarted(loaded: System, photo: bytes) -> None:
    with Load(loaded, photo).going() as load:
        loaded.kill("app_vgg16")
        load.answered(20)
        loaded.start("app_vgg16")
        loaded.wait_ready()
        loaded.stop("app_custom")
        load.answered(20)
        loaded.start("app_custom")
        loaded.wait_ready()
        for service in ("app_custom", "app_vgg16"):
            loaded.stop(service)
            loaded.start(service)
            loaded.wait_ready()
            load.answered(10)

    assert set(load.outcomes) == {"200"}
