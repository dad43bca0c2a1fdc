"""One variant down, slow or broken: the other answers, and the ledger tells."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from tests.serving.photos import encoded, noise
from tests.system import System, eventually


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("failover")) as started:
        yield started


def test_one_variant_down(own: System, photo: bytes) -> None:
    own.kill("app_vgg16")
    answers = [own.predict(photo) for _ in range(10)]
    forced = own.predict(photo, **{"X-Variant": "vgg16"})
    page = own.predict(photo, "/result/", **{"X-Variant": "vgg16"})

    assert [answer.status_code for answer in answers] == [200] * 10
    assert {answer.headers["X-Variant"] for answer in answers} == {"custom"}
    lines = [line for answer in answers for line in own.ledger_of(answer.headers["X-Request-ID"])]
    tried = Counter(line["variant"] for line in lines if line["status"] == 502)
    assert tried == {"vgg16": 5}
    assert all(line["by"] == "round_robin" for line in lines)
    failed_over = own.ledger_of(next(line["request_id"] for line in lines if line["status"] == 502), lines=2)
    assert [(line["variant"], line["status"]) for line in failed_over] == [("vgg16", 502), ("custom", 200)]

    assert forced.status_code == 502
    assert forced.headers["X-Variant"] == "vgg16"
    assert forced.json() == {"detail": "No variant could answer. Try again in a moment."}
    assert page.status_code == 502
    assert "<h1>That did not work</h1>" in page.text
    health = own.health()["variants"]
    assert health["custom"]["ready"] is True
    assert health["vgg16"] == {"ready": False, "detail": "no answer"}

    own.start("app_vgg16")
    own.wait_ready()
    assert len({own.predict(photo).headers["X-Variant"] for _ in range(2)}) == 2


def test_all_down_and_up_again(own: System, photo: bytes) -> None:
    own.kill("app_vgg16")
    own.kill("app_custom")
    answer = own.predict(photo)
    health = requests.get(f"{own.url}/healthz", timeout=10)

    assert answer.status_code == 502
    assert answer.json() == {"detail": "No variant could answer. Try again in a moment."}
    assert answer.headers["X-Variant"] in {"custom", "vgg16"}
    assert "X-Request-ID" in answer.headers
    assert requests.get(own.url, timeout=10).status_code == 502
    assert health.status_code == 503
    assert not any(state["ready"] for state in health.json()["variants"].values())

    own.start("app_custom")
    eventually(lambda: own.predict(photo).status_code == 200)


def test_a_variant_that_hangs_is_answered_for(own: System, photo: bytes) -> None:
    own.processes["app_vgg16"].send_signal(signal.SIGSTOP)
    try:
        answers = [own.predict(photo) for _ in range(2)]
    finally:
        own.processes["app_vgg16"].send_signal(signal.SIGCONT)

    assert [answer.status_code for answer in answers] == [200, 200]
    assert {answer.headers["X-Variant"] for answer in answers} == {"custom"}
    assert max(answer.elapsed.total_seconds() for answer in answers) < 20


def test_a_shadow_that_hangs_holds_nobody_up(own: System, photo: bytes) -> None:
    own.change("split", shares={"custom": 100}, shadow={"variant": "vgg16"})
    own.processes["app_vgg16"].send_signal(signal.SIGSTOP)
    try:
        with requests.Session() as session:
            answers = [session.post(f"{own.url}/predict", files={"file": photo}, timeout=60) for _ in range(5)]
    finally:
        own.processes["app_vgg16"].send_signal(signal.SIGCONT)

    assert {answer.headers["X-Variant"] for answer in answers} == {"custom"}
    # nginx waits 3 s for a variant that hangs.
    assert max(answer.elapsed.total_seconds() for answer in answers) < 2.5


def test_a_photo_that_one_had_no_time_for_is_not_handed_on(own: System) -> None:
    """As on a machine with too much to do, where what reads photos gets no processor."""
    large = encoded(noise(800, 600), "JPEG", quality=95)
    assert 300_000 < len(large) < 600_000
    readers = [pid for pid in _below(own.processes["app_vgg16"].pid) if not _below(pid)]
    for pid in readers:
        os.kill(pid, signal.SIGSTOP)
    try:
        answer = next(found for _ in range(2) if (found := own.predict(large)).headers["X-Variant"] == "vgg16")
    finally:
        for pid in readers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert answer.json() == {"detail": "There is no time here to read this photo. Try again in a moment."}
    lines = own.ledger_of(answer.headers["X-Request-ID"])
    assert [(line["variant"], line["status"]) for line in lines] == [("vgg16", 429)]


def _below(pid: int) -> list[int]:
    """The processes that a process started, and those that these did."""
    started = [
        int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()
    ]
    return started + [later for child in started for later in _below(child)]
