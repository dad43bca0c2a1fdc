"""A variant that hangs, and one that is only slow."""

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from storm.__main__ import prepare
from tests.classes import LEMON
from tests.load import Load
from tests.system import System, eventually

_LARGE = 2_000_000


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    # No guardrail takes the traffic of what hangs.
    with prepare(tmp_path_factory.mktemp("hang")) as started:
        yield started


class Slow(BaseHTTPRequestHandler):
    """A variant that takes its time for a photo, and is well."""

    takes_s = 4.0

    def do_GET(self) -> None:
        self._answer({"ready": True, "alive": True})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.takes_s)
        self._answer({"likely_class": LEMON})

    def _answer(self, facts: dict[str, object]) -> None:
        body = json.dumps(facts).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Predicted-Class", json.dumps(LEMON)[1:-1])
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_slow_answer_of_one_that_is_busy_is_no_hang(own: System, photo: bytes) -> None:
    own.stop("app_vgg16")
    port = next(variant.port for variant in own.variants if variant.service == "app_vgg16")
    with ThreadingHTTPServer(("127.0.0.1", port), Slow) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            answers = [own.predict(body, **{"X-Variant": "vgg16"}) for body in (photo, photo + bytes(_LARGE))]
        finally:
            server.shutdown()
            thread.join()
    own.start("app_vgg16")
    own.wait_ready()

    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {"likely_class": LEMON})] * 2
    for answer in answers:
        (line,) = own.ledger_of(answer.headers["X-Request-ID"])
        assert (line["status"], line["predicted_class"]) == (200, LEMON)


def test_nobody_waits_for_one_that_hangs_and_everybody_is_told(own: System, photo: bytes) -> None:
    epoch = own.split()["in_force"]["epoch"]
    with Load(own.url, photo).going() as load:
        own.processes["app_vgg16"].send_signal(signal.SIGSTOP)
        try:
            eventually(lambda: _hung(own) == ["vgg16"])
            # What was on its way to it before has come to its end.
            load.answered(20)
            before = len(own.ledger())
            load.answered(40)
            # Their lines say that it was not even asked; none are left where the split has been changed meanwhile.
            tried = [line for line in own.ledger()[before:] if line["variant"] == "vgg16"]
            assert {(line["status"], line["upstream_addr"]) for line in tried} <= {(503, "")}
            assert "it hangs; the others" in own.abtest("status").stdout.replace("\n", " ")
            assert "vgg16 hangs." in requests.get(f"{own.url}/experiment", timeout=30).text
            forced = own.predict(photo, **{"X-Variant": "vgg16"})
            assert forced.status_code == 503
            assert forced.headers["Retry-After"].isdecimal()
        finally:
            own.processes["app_vgg16"].send_signal(signal.SIGCONT)
        eventually(lambda: not _hung(own))
        eventually(lambda: own.predict(photo, **{"X-Variant": "vgg16"}).status_code == 200)

    assert set(load.outcomes) == {"200"}
    first: dict[str, str] = {}
    for line in own.ledger():
        if line["epoch"] == epoch:
            first.setdefault(line["request_id"], line["variant"])
    drawn = Counter(first.values())
    # Turns stay exact; only what is still on its way may be missing.
    assert abs(drawn["custom"] - drawn["vgg16"]) <= 8


def test_a_request_on_its_way_to_one_that_begins_to_hang_goes_to_another(own: System, photo: bytes) -> None:
    own.change("split", shares={"vgg16": 100})
    own.processes["app_vgg16"].send_signal(signal.SIGSTOP)
    try:
        answer = own.predict(photo)
    finally:
        own.processes["app_vgg16"].send_signal(signal.SIGCONT)
    assert (answer.status_code, answer.headers["X-Variant"]) == (200, "custom")
    failed, answered = own.ledger_of(answer.headers["X-Request-ID"], lines=2)
    assert (failed["variant"], failed["status"], answered["status"]) == ("vgg16", 504, 200)
    # Asked once: it gave no sign of life.
    assert failed["upstream_time_s"] == pytest.approx(3, abs=1)
    eventually(lambda: not _hung(own))
    own.change("rollback")


def test_a_large_body_lies_on_the_disk_once(own: System, photo: bytes) -> None:
    eventually(lambda: not _hung(own))
    bodies = Path(own.place.gateway["STATE_DIR"], "body")
    with Load(own.url, photo).going():
        pass  # workers have been asked for large ones before
    own.processes["app_vgg16"].send_signal(signal.SIGSTOP)
    own.processes["app_custom"].send_signal(signal.SIGSTOP)
    asking = threading.Thread(target=lambda: own.predict(photo + bytes(_LARGE)))
    asking.start()
    try:
        held = eventually(lambda: _open_files(own, bodies))
        assert len(held) == 1
    finally:
        own.processes["app_vgg16"].send_signal(signal.SIGCONT)
        own.processes["app_custom"].send_signal(signal.SIGCONT)
        asking.join()
    eventually(lambda: not _open_files(own, bodies))


def _hung(system: System) -> list[str]:
    hung: list[str] = requests.get(f"{system.url}/experiment.json", timeout=30).json()["hung"]
    return hung


def _open_files(system: System, folder: Path) -> list[str]:
    """What nginx's workers hold open below ``folder``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "stat").read_text().rsplit(")", 1)[1].split()[1] != str(system.processes["nginx"].pid):
                continue
            found += [str(fd.readlink()) for fd in (process / "fd").iterdir()]
        except OSError:
            continue
    return [path for path in found if path.startswith(str(folder))]
