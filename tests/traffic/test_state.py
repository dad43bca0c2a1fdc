"""The split's file and history, and what happens where nginx says no or nothing."""

import json
from pathlib import Path

import pytest

from traffic import state as state_module
from traffic.split import SplitError, make_split
from traffic.state import State

from ..system import System

NAMES = ["custom", "vgg16"]


def test_no_split_was_ever_asked_for(tmp_path: Path) -> None:
    state = State(tmp_path)

    assert state.current().rule == "round_robin"
    assert state.current().epoch == 1
    assert state.history() == []


def test_a_folder_of_no_system(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match=r"No running system keeps its split in .*docker-compose exec experiment"):
        State(tmp_path).change(make_split("weighted", {"custom": 100}, NAMES), "split")


def test_the_history_and_the_way_back(running: System) -> None:
    state = running.state
    first = state.current()
    a = state.change(make_split("weighted", {"custom": 90, "vgg16": 10}, NAMES, before=first), "split")
    b = state.change(make_split("weighted", {"vgg16": 100}, NAMES, before=a), "promote", "it is better")
    assert b.epoch == first.epoch + 2

    back = state.roll_back("it was not")
    assert (back.epoch, back.shares) == (b.epoch + 1, a.shares)
    further = state.roll_back()
    assert (further.epoch, further.rule) == (b.epoch + 2, "round_robin")
    with pytest.raises(SplitError, match="There is no split before this one"):
        state.roll_back()

    changes = state.history()
    assert [change.action for change in changes] == ["split", "promote", "rollback", "rollback"]
    assert changes[1].reason == "it is better"
    assert changes[2].restores == a.epoch
    assert State(running.site.state_folder).current() == further
    text = (running.site.state_folder / "split.json").read_text()
    assert json.loads(text)["epoch"] == further.epoch
    assert running.health()["epoch"] == further.epoch


def test_it_is_kept_over_a_restart_of_nginx(running: System, photo: bytes) -> None:
    split = make_split("weighted", {"vgg16": 100}, NAMES, before=running.state.current())
    epoch = running.state.change(split, "split").epoch
    running.stop("nginx")
    running.start("nginx")
    running.wait_ready()

    assert running.health()["epoch"] == epoch
    assert {running.predict(photo).headers["X-Variant"] for _ in range(4)} == {"vgg16"}


def test_what_nginx_refuses_changes_nothing(running: System, monkeypatch: pytest.MonkeyPatch) -> None:
    before = running.state.current()
    in_force = (running.site.state_folder / "split.conf").read_text()
    monkeypatch.setattr(state_module, "render_split", lambda *_: "map nonsense;\n")

    with pytest.raises(SplitError, match=r"nginx refuses this split, so nothing was changed: .*map"):
        running.state.change(before, "split")
    assert running.state.current() == before
    assert (running.site.state_folder / "split.conf").read_text() == in_force
    assert running.health()["epoch"] == before.epoch


def test_nginx_does_not_answer(running: System, monkeypatch: pytest.MonkeyPatch) -> None:
    before = running.state.current()
    running.stop("apply-split")
    monkeypatch.setattr(state_module, "_ANSWER_S", 0.1)
    try:
        with pytest.raises(SplitError, match=r"nginx did not answer, so nothing was changed\. Is it running?"):
            running.state.change(before, "split")
    finally:
        running.start("apply-split")
    assert running.state.current() == before
    assert not (running.site.state_folder / "next.conf").exists()


def test_a_split_that_no_longer_fits_gives_way_to_round_robin(running: System, photo: bytes) -> None:
    running.stop("nginx")
    (running.site.state_folder / "split.conf").write_text("upstream gone { server unix:/nowhere.sock; } nonsense;\n")
    running.start("nginx")
    running.wait_ready()

    assert "the split of before does not fit any more, so all variants take turns" in running.log("nginx")
    assert len({running.predict(photo).headers["X-Variant"] for _ in range(2)}) == 2
