"""A visitor's label is tied to the answer that was got, and counts as the plan says."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experiment.access.rules import Role
from experiment.record.disputed import disputed
from experiment.record.follower import Follower
from tests.classes import APPLE, LEMON
from tests.experiment.conftest import PLAN_TEXT, At, both, line
from tests.system import eventually

TICKET, OTHER = "0123456789abcdef" * 2, "f" * 32


@pytest.fixture
def closed(serve: Callable[..., Any]) -> Iterator[At]:
    """A service that asks who it is, with a request that has a ticket and one of before there were any."""
    with serve(access="token") as running:
        running.ledger.write(line("a", ticket=TICKET), line("b", ticket=OTHER), line("old"))
        eventually(lambda: sum(report(running)["traffic"]["assigned"].values()) == 3)
        yield running


def report(running: At) -> Any:
    running.service._cache.clear()
    return running.client.get("/experiment.json", headers=running.operator).json()


def say(running: At, request_id: str, ticket: Any = None, label: str = LEMON, **more: Any) -> Any:
    fields = {"request_id": request_id, "true_label": label, "ticket": ticket} | more
    return running.client.post("/feedback", json={name: said for name, said in fields.items() if said is not None})


def test_without_its_ticket_nobody_labels_a_request(closed: At) -> None:
    assert say(closed, "a").status_code == 403
    assert "X-Ticket" in say(closed, "a").json()["detail"]
    for wrong in (OTHER, "0" * 32):
        assert say(closed, "a", wrong).status_code == 403
    assert say(closed, "old", "0" * 32).status_code == 403
    for none in ("", "x", TICKET.upper(), TICKET[:-1], 7, [TICKET]):
        assert say(closed, "a", none).status_code in (403, 422)
    assert report(closed)["labels"]["given"] == 0


def test_a_ticket_labels_once(closed: At) -> None:
    assert say(closed, "a", TICKET).status_code == 201
    assert say(closed, "a", TICKET, APPLE).status_code == 409
    assert say(closed, "b", TICKET).status_code == 403
    assert report(closed)["labels"]["given"] == 1


def test_the_page_carries_the_ticket_to_change_it_by(closed: At) -> None:
    form = {"request_id": "a", "ticket": TICKET, "true_label": LEMON}
    assert f'name="ticket" value="{TICKET}"' in closed.client.post("/feedback", data=form).text
    changed = {"request_id": "a", "change": "1", "true_label": APPLE}
    assert closed.client.post("/feedback", data=changed).status_code == 403
    assert closed.client.post("/feedback", data=changed | {"ticket": TICKET}).status_code == 200


def test_a_repeated_id_gets_no_second_ticket(closed: At) -> None:
    """Whoever sends somebody's request id again gets an answer, and a ticket that is good for nothing."""
    again = "e" * 32
    closed.ledger.write(line("a", ticket=again))
    eventually(lambda: report(closed)["traffic"]["assigned"])
    assert isinstance(closed.service.follower, Follower)
    closed.service.follower.catch_up()
    assert say(closed, "a", again).status_code == 403
    assert say(closed, "a", TICKET).status_code == 201


def test_a_request_that_failed_over_has_the_ticket_of_the_answer(serve: Callable[..., Any]) -> None:
    with serve(access="token") as running:
        running.ledger.write(line("a", status=500, ticket=None), line("a", "vgg16", ticket=TICKET))
        running.ledger.write(line("s", "vgg16", "shadow", ticket=None), line("s", ticket=OTHER))
        assert say(running, "a", TICKET).status_code == 201
        assert say(running, "s", OTHER).status_code == 201


def test_a_label_waits_for_the_line_of_the_answer(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The shadow's line may come before it."""
    monkeypatch.setattr("experiment.web.labels.feedback._PATIENCE_S", 20)
    with serve(access="token") as running:
        running.ledger.write(line("a", "vgg16", "shadow", ticket=None))
        running.service.follower.catch_up()
        waiting = running.client.app.state.arrivals
        found: list[int] = []
        asking = threading.Thread(target=lambda: found.append(say(running, "a", TICKET).status_code))
        asking.start()
        eventually(lambda: waiting._waiting)
        running.ledger.write(line("a", ticket=TICKET))
        asking.join(60)
        assert found == [201]


def test_a_hundred_labels_of_visitors_decide_nothing(serve: Callable[..., Any]) -> None:
    """The issue's attack: each request labelled so that vgg16 is right, each from another person."""
    with serve(access="token") as running:
        tickets = {f"r{number}": f"{number:032x}" for number in range(100)}
        for name, ticket in tickets.items():
            running.ledger.write(both(name, APPLE, LEMON, by="pair", ticket=ticket))
        eventually(lambda: report(running)["pairs"]["disagree"] == 100)
        before = report(running)["verdict"]
        for number, (name, ticket) in enumerate(tickets.items()):
            said = {"request_id": name, "true_label": LEMON, "ticket": ticket}
            given = running.client.post("/feedback", json=said, headers={"X-Person": f"{number:010d}"})
            assert (given.status_code, given.json()["counts"]) == (201, False)
        after = report(running)
        assert after["verdict"]["e_value"] == before["e_value"]
        assert after["verdict"]["labels"] == 0
        assert "100 by visitors, which the plan does not count" in after["verdict"]["counted"]


def test_the_plan_may_count_visitors(tmp_path: Path) -> None:
    (tmp_path / "experiment.toml").write_text(PLAN_TEXT + "count_visitors = true\n")
    with At(tmp_path, access="token") as running:
        running.ledger.write(line("a", ticket=TICKET))
        eventually(lambda: report(running)["traffic"]["assigned"])
        assert say(running, "a", TICKET).json()["counts"]


def test_a_label_that_counts_takes_the_place_of_a_visitors(serve: Callable[..., Any], tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").touch()
    with serve(access="token", keep_images=photos) as running:
        running.ledger.write(both("a", APPLE, LEMON, ticket=TICKET))
        eventually(lambda: report(running)["pairs"]["disagree"])
        assert say(running, "a", TICKET, APPLE).status_code == 201
        with running.service.database.read() as connection:
            assert disputed(connection, photos) == ["a"]
        form = {"request_id": "a", "true_label": LEMON}
        running.client.post("/experiment/label", data=form, headers=running.operator)
        assert report(running)["pairs"]["only_candidate"] == 1
        assert say(running, "a", TICKET, APPLE).status_code == 409


def test_who_shows_a_token_needs_no_ticket(closed: At) -> None:
    labeller = closed.service.tokens.issue(Role.LABELLER)
    said = {"request_id": "a", "true_label": LEMON}
    given = closed.client.post("/feedback", json=said, headers={"Authorization": f"Bearer {labeller}"})
    assert given.json()["counts"]
    assert closed.give("old", LEMON) == 201


def test_on_a_machine_of_ones_own_an_id_is_enough_and_a_wrong_ticket_is_not(at_work: At) -> None:
    at_work.ledger.write(line("a", ticket=TICKET), line("b", ticket=OTHER))
    eventually(lambda: sum(at_work.report()["traffic"]["assigned"].values()) == 2)
    assert say(at_work, "a").json()["counts"]
    assert say(at_work, "b", TICKET).status_code == 403
    assert say(at_work, "b", OTHER).json()["counts"]


@pytest.mark.parametrize("kind", ["text/plain", "text/plain;charset=UTF-8", "multipart/form-data; boundary=x"])
def test_json_in_disguise_is_refused(at_work: At, kind: str) -> None:
    at_work.ledger.write(line("a"))
    body = b'{"request_id": "a", "true_label": "lemon"}'
    assert at_work.client.post("/feedback", content=body, headers={"Content-Type": kind}).status_code == 415
