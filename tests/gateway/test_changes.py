"""A change of the split, from being asked for to being in force, and what happens where nginx says no or nothing."""

import sqlite3
from pathlib import Path

import pytest

from abtest.client import RefusedError
from tests.system import System, eventually


def test_the_history_and_the_way_back(running: System) -> None:
    first = running.split()["in_force"]["epoch"]
    a = running.change("split", shares={"custom": 90, "vgg16": 10})
    b = running.change("promote", variant="vgg16", reason="it is better")
    assert b["epoch"] == first + 2

    back = running.change("rollback", reason="it was not")
    assert (back["epoch"], back["split"]["shares"]) == (b["epoch"] + 1, a["split"]["shares"])
    further = running.change("rollback")
    assert (further["epoch"], further["split"]["rule"]) == (b["epoch"] + 2, "round_robin")
    with pytest.raises(RefusedError, match="There is no split before this one"):
        running.change("rollback")

    split = running.split()
    assert [entry["action"] for entry in split["history"]] == ["start", "split", "promote", "rollback", "rollback"]
    assert {entry["standing"] for entry in split["history"]} == {"in_force"}
    assert split["history"][2]["reason"] == "it is better"
    assert split["history"][3]["restores"] == a["epoch"]
    assert split["in_force"]["epoch"] == further["epoch"] == running.health()["epoch"]


def test_a_change_against_an_old_split_is_refused(running: System) -> None:
    old = running.split()["in_force"]["epoch"]
    running.change("promote", variant="vgg16")
    with (
        running.client as client,
        pytest.raises(RefusedError, match=f"changed meanwhile: epoch {old + 1}, by"),
    ):
        client.post("/experiment/split", {"action": "promote", "variant": "custom", "against": old})
    assert running.split()["in_force"]["split"]["shares"] == {"custom": 0, "vgg16": 100}


def test_it_is_kept_over_a_restart_of_nginx_without_the_service(running: System, photo: bytes) -> None:
    epoch = running.change("promote", variant="vgg16")["epoch"]
    running.stop("experiment")
    running.kill("gateway")
    running.kill("nginx")
    running.start("nginx")
    eventually(lambda: running.health()["epoch"] == epoch)
    assert {running.predict(photo).headers["X-Variant"] for _ in range(4)} == {"vgg16"}
    running.start("experiment")
    running.start("gateway")
    running.wait_ready()


def test_what_nginx_refuses_changes_nothing(running: System) -> None:
    before = running.split()["in_force"]
    # Nobody can ask for shares of more than 100 percent, but a record can hold them.
    with sqlite3.connect(running.place.data / "experiment.db") as database:
        text = database.execute("SELECT split FROM split WHERE epoch = ?", [before["epoch"]]).fetchone()[0]
        broken = text.replace(f'"epoch": {before["epoch"]}', f'"epoch": {before["epoch"] + 1}')
        broken = broken.replace('"random": false', '"random": true').replace('"custom": 0.0', '"custom": 150.0')
        values = (before["epoch"] + 1, 0, "split", "", "", None, before["epoch"], broken, "asked", "")
        database.execute(f"INSERT INTO split VALUES ({','.join('?' * 10)})", values)

    def refused() -> str:
        entry = running.split()["history"][-1]
        return entry["answer"] if entry["standing"] == "refused" else ""

    assert "gateway: percent total is greater than 100%" in eventually(refused)
    assert running.split()["in_force"] == before
    assert running.health()["epoch"] == before["epoch"]
    assert running.change("split", rule="round_robin")["epoch"] == before["epoch"] + 2


def test_no_gateway_answers(running: System) -> None:
    before = running.split()["in_force"]
    running.kill("gateway")
    try:
        with pytest.raises(
            RefusedError, match=r"Nothing was changed: (no gateway answers|gateway did not take it over)"
        ):
            running.change("promote", variant="custom")
    finally:
        running.start("gateway")
    assert running.split()["in_force"] == before
    running.change("promote", variant="custom")
    running.change("rollback")


def test_a_split_that_no_longer_fits_is_asked_for_anew(running: System, photo: bytes) -> None:
    running.change("promote", variant="vgg16")
    running.kill("gateway")
    running.stop("nginx")
    Path(running.place.gateway["STATE_DIR"], "routes.in").write_text("# epoch 1\nnonsense;\n")
    running.start("nginx")
    running.start("gateway")
    running.wait_ready()

    assert "the split of before does not fit any more" in running.log("nginx")
    assert {running.predict(photo).headers["X-Variant"] for _ in range(2)} == {"vgg16"}
    running.change("rollback")


def test_the_record_is_lost_and_the_gateway_tells(running: System) -> None:
    epoch = running.change("promote", variant="vgg16")["epoch"]
    running.stop("experiment")
    for file in running.place.data.glob("experiment.db*"):
        file.unlink()
    running.start("experiment")
    running.wait_ready()

    entry = running.split()["in_force"]
    assert (entry["epoch"], entry["action"]) == (epoch, "gateway")
    assert entry["split"]["shares"] == {"custom": 0, "vgg16": 100}
    assert running.change("split", rule="round_robin")["epoch"] == epoch + 1
