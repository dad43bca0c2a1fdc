"""What once bent the split, tried again on the real system: see also ``storm``."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from abtest.client import RefusedError
from local.parts import ROOT
from storm.truth import Witness
from tests.system import System, eventually


def _head(routes: Path) -> str:
    return routes.read_text().splitlines()[0]


def _refused_or_not(act: Callable[[], object]) -> threading.Thread:
    """Asks for a change, whatever comes of it."""

    def ask() -> None:
        with suppress(RefusedError):
            act()

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def test_the_script_and_nginx_killed_in_mid_change_leave_the_split_that_the_record_knows(
    running: System, photo: bytes
) -> None:
    running.change("split", rule="round_robin")
    before = running.split()["in_force"]["epoch"]
    routes = Path(running.place.run, "routes.conf")
    with Witness(running) as witness:
        asking = _refused_or_not(lambda: running.change("promote", variant="vgg16"))
        eventually(lambda: _head(routes) != f"# epoch {before}")
        running.kill("gateway")
        running.kill("nginx")
        running.kill("experiment")
        running.start("nginx")
        # Nobody was told that the change is in force, and the service is away.
        kept = _head(Path(running.place.gateway["STATE_DIR"], "routes.in"))
        eventually(lambda: f"# epoch {running.health()['epoch']}" == kept)
        running.start("experiment")
        running.start("gateway")
        asking.join()
        eventually(lambda: running.split()["asked"] is None)
        running.wait_ready()
        entry = running.split()["in_force"]
        after = running.change("split", rule="round_robin")["epoch"]

    assert entry["epoch"] in (before, before + 1)
    assert after == before + 2
    assert all(len(splits) == 1 for splits in witness.splits.values())
    assert {running.predict(photo).headers["X-Variant"] for _ in range(4)} == {"custom", "vgg16"}


def test_abtest_killed_in_mid_change_leaves_no_split_that_the_record_does_not_know(
    running: System, photo: bytes
) -> None:
    running.change("split", rule="round_robin")
    beside = {"ABTEST_URL": running.url, "DATA_DIR": str(running.place.data)}
    asking = subprocess.Popen(
        [sys.executable, "-m", "abtest", "promote", "vgg16"],
        cwd=ROOT,
        env=running.environment | beside,
        stdout=subprocess.DEVNULL,
    )
    eventually(lambda: running.split()["asked"] or asking.poll() is not None)
    asking.kill()
    asking.wait()
    eventually(lambda: running.split()["asked"] is None)
    running.wait_ready()

    entry = running.split()["in_force"]
    assert entry["split"]["shares"] == {"custom": 0, "vgg16": 100}
    assert " on " in entry["asked_by"]
    line = running.ledger_of(running.predict(photo).headers["X-Request-ID"])[0]
    assert (line["epoch"], line["variant"]) == (entry["epoch"], "vgg16")


def test_of_two_changes_at_once_the_second_knows_of_the_first(running: System) -> None:
    running.change("split", rule="round_robin")
    told = []

    def ask(action: str, **wanted: object) -> None:
        for _ in range(4):
            with suppress(RefusedError):
                told.append(running.change(action, **wanted))

    places = [
        threading.Thread(target=ask, args=("promote",), kwargs={"variant": "custom"}),
        threading.Thread(target=ask, args=("split",), kwargs={"rule": "round_robin", "shadow": {"variant": "vgg16"}}),
    ]
    for place in places:
        place.start()
    for place in places:
        place.join()

    history = {entry["epoch"]: entry for entry in running.split()["history"]}
    assert told
    for entry in told:
        assert history[entry["epoch"]]["split"] == entry["split"]
        assert history[entry["epoch"]]["standing"] == "in_force"
    assert running.split()["in_force"]["epoch"] == max(entry["epoch"] for entry in told)
    assert len({entry["before"] for entry in told}) == len(told)


def test_a_change_goes_to_the_system_that_is_named(running: System, shared_system: System) -> None:
    here = running.change("split", rule="round_robin")
    there = shared_system.split()["in_force"]
    refused = running.abtest("--url", shared_system.url, "promote", "vgg16")
    assert refused.returncode == 1
    assert "Nothing was changed." in " ".join(refused.stderr.split())
    refused = running.abtest("--url", "http://127.0.0.1:1", "promote", "vgg16")
    assert refused.returncode == 1
    assert "Nothing answers at http://127.0.0.1:1." in refused.stderr
    assert running.split()["in_force"]["epoch"] == here["epoch"]
    assert shared_system.split()["in_force"] == there

    token = (running.place.data / "token").read_text().strip()
    done = shared_system.abtest("--url", running.url, "--token", token, "promote", "vgg16")
    assert done.returncode == 0, done.stderr
    assert running.split()["in_force"]["split"]["shares"] == {"custom": 0, "vgg16": 100}
    assert shared_system.split()["in_force"] == there


def test_a_service_that_ends_waits_for_no_gateway(running: System) -> None:
    eventually(lambda: running.split()["gateways"])
    process = running.processes["experiment"]
    process.terminate()
    # make run kills after 5 s.
    assert process.wait(5) == -signal.SIGTERM
    running.start("experiment")
    eventually(lambda: running.split()["gateways"])


def test_a_ledger_that_was_deleted_goes_on(running: System, photo: bytes) -> None:
    current = running.place.ledger / "ledger.jsonl"
    running.predict(photo)
    current.unlink()
    eventually(current.exists)

    def recorded() -> bool:
        asked = running.predict(photo).headers["X-Request-ID"]
        return asked in current.read_text()

    eventually(recorded)


@pytest.mark.parametrize("linked", [False, True])
def test_a_script_killed_while_it_rotated_is_no_end_of_the_ledger(running: System, photo: bytes, linked: bool) -> None:
    current = running.place.ledger / "ledger.jsonl"
    running.predict(photo)
    eventually(current.exists)
    running.kill("gateway")
    rotated = running.place.ledger / f"ledger-s00000009{int(linked)}.jsonl"
    os.link(current, rotated)
    if not linked:
        current.unlink()
    running.start("gateway")
    eventually(lambda: current.exists() and not current.samefile(rotated))
    answer = running.predict(photo)
    eventually(lambda: answer.headers["X-Request-ID"] in current.read_text() + rotated.read_text())
    rotated.unlink()


def test_nothing_that_a_killed_nginx_left_is_in_the_way_of_the_next(running: System, photo: bytes) -> None:
    for _ in range(2):
        running.kill("nginx")
        assert list(Path(running.place.run).glob("*.sock"))
        running.start("nginx")
        running.wait_ready()
        assert running.predict(photo).status_code == 200


def test_predictions_go_on_while_a_worker_is_stopped(running: System, photo: bytes) -> None:
    found = subprocess.run(
        ["pgrep", "-P", str(running.processes["nginx"].pid), "-f", "worker process *$"],
        capture_output=True,
        text=True,
        check=True,
    )
    worker = int(found.stdout.split()[0])
    os.kill(worker, signal.SIGSTOP)
    try:
        with requests.Session() as session:
            statuses = {
                session.post(f"{running.url}/predict", files={"file": photo}, timeout=60).status_code for _ in range(10)
            }
    finally:
        os.kill(worker, signal.SIGCONT)
    assert statuses == {200}
