"""What people say a photo really showed."""

import hashlib
import threading
import time
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from tests.classes import APPLE, LEMON
from tests.experiment.conftest import At, both, line
from tests.system import eventually


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiment.web.labels.feedback._PATIENCE_S", 0.4)


def test_a_label_is_taken_once_and_the_first_stands(at_work: At) -> None:
    at_work.ledger.write(line("a"))
    answer = at_work.client.post("/feedback", json={"request_id": "a", "true_label": LEMON})
    assert answer.status_code == 201
    assert answer.json() == {"request_id": "a", "true_label": LEMON, "counts": True, "scored_by": ["custom"]}
    assert at_work.give("a", APPLE) == 409
    assert at_work.report()["confusion"] == {"custom": {LEMON: {LEMON: 1}}}


def test_an_unknown_id_is_404_and_changes_nothing(at_work: At) -> None:
    assert at_work.give("nobody", LEMON) == 404
    at_work.ledger.write(line("nobody"))
    eventually(lambda: at_work.give("nobody", APPLE) == 201)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"lemon",
        b"[]",
        b"3",
        b"[" * 3000,
        b"\xff\xfe",
        b'{"request_id": "a"}',
        b'{"true_label": "lemon"}',
        b'{"request_id": "a", "true_label": "banana"}',
        b'{"request_id": "a", "true_label": ["lemon"]}',
        b'{"request_id": 5, "true_label": "lemon"}',
        b'{"request_id": "a b", "true_label": "lemon"}',
        b'{"request_id": "", "true_label": "lemon"}',
    ],
)
def test_what_cannot_be_understood_is_422(at_work: At, body: bytes) -> None:
    answer = at_work.client.post("/feedback", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert isinstance(answer.json()["detail"], str)


def test_a_long_body_is_not_read(at_work: At) -> None:
    assert at_work.client.post("/feedback", content=b"x" * 5000).status_code == 413


def test_feedback_waits_for_a_line_that_is_late(at_work: At, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiment.web.labels.feedback._PATIENCE_S", 20)
    waiting = at_work.client.app.state.arrivals  # type: ignore[attr-defined]
    found: list[int] = []
    asking = threading.Thread(target=lambda: found.append(at_work.give("late", LEMON)))
    asking.start()
    eventually(lambda: waiting._waiting)
    at_work.ledger.write(line("late"))
    asking.join(15)
    assert found == [201]
    assert not waiting._waiting


def test_a_flood_of_wrong_ids_keeps_nobody_out(at_work: At, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiment.web.labels.feedback._MOST_WAITING", 2)
    monkeypatch.setattr("experiment.web.labels.feedback._PATIENCE_S", 20)
    at_work.ledger.write(line("known"))
    eventually(lambda: at_work.report()["traffic"]["assigned"])
    waiting = at_work.client.app.state.arrivals  # type: ignore[attr-defined]
    flood = [threading.Thread(target=at_work.give, args=(f"wrong{number}", LEMON)) for number in range(2)]
    for thread in flood:
        thread.start()
    eventually(lambda: waiting.full)
    refused = at_work.client.post("/feedback", json={"request_id": "wrong", "true_label": LEMON})
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert at_work.give("known", LEMON) == 201
    at_work.ledger.write(line("wrong0"), line("wrong1"))
    for thread in flood:
        thread.join(15)
    assert at_work.report()["labels"]["given"] == 3


def test_404_is_not_said_while_the_ledger_is_still_being_read(at_work: At, monkeypatch: pytest.MonkeyPatch) -> None:
    eventually(lambda: at_work.service.follower.caught_up > 0)
    monkeypatch.setattr(at_work.service.follower, "catch_up", lambda: None)
    at_work.service.follower.caught_up = time.monotonic() - 10
    answer = at_work.client.post("/feedback", json={"request_id": "a", "true_label": LEMON})
    assert answer.status_code == 503
    assert "still being read" in answer.json()["detail"]


def test_a_database_that_is_away_is_said_so(at_work: At, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("", {}, Exception("locked"))

    monkeypatch.setattr("experiment.web.labels.feedback.give_label", away)
    assert at_work.give("a", LEMON) == 503


def test_the_form_of_the_result_page_is_answered_by_a_page(at_work: At) -> None:
    at_work.ledger.write(line("a"))
    form = {"request_id": "a", "true_label": LEMON}
    first = at_work.client.post("/feedback", data=form)
    assert first.status_code == 200
    assert "Thank you" in first.text
    assert 'href="/"' in first.text
    assert at_work.client.post("/feedback", data=form).status_code == 200
    again = at_work.client.post("/feedback", data=form | {"true_label": APPLE})
    assert again.status_code == 409
    assert "has another label already" in again.text
    assert at_work.client.post("/feedback", data={"request_id": "a"}).status_code == 422


def test_a_form_on_somebody_elses_site_is_refused(at_work: At) -> None:
    at_work.ledger.write(line("a"))
    form = {"request_id": "a", "true_label": LEMON}
    answer = at_work.client.post("/feedback", data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


def test_labels_work_on_either_database(serve: Callable[..., Any], database_url: str) -> None:
    with serve(database_url=database_url) as running:
        running.ledger.write(both("a", APPLE, LEMON), both("b", APPLE, APPLE), line("c", "vgg16"))
        for name in "abc":
            assert running.give(name, LEMON) == 201
        assert running.give("a", LEMON) == 200
        assert running.give("a", APPLE) == 409
        report = running.report()
        pairs = report["pairs"]
        assert (pairs["only_candidate"], pairs["neither"], pairs["both"]) == (1, 1, 0)
        assert report["accuracy"]["vgg16"]["right"] == 2
        assert report["curve"]["labels"] == [1, 2, 3]


def test_a_label_may_be_changed_or_taken_back_for_ten_minutes(at_work: At, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work.ledger.write(line("a", predicted_class=APPLE))
    page = at_work.client.post("/feedback", data={"request_id": "a", "true_label": LEMON})
    assert "Undo" in page.text
    form = {"request_id": "a", "change": "1"}
    assert f"Noted: {APPLE}" in at_work.client.post("/feedback", data=form | {"true_label": APPLE}).text
    assert at_work.report()["labels"]["given"] == 1
    assert "Taken back" in at_work.client.post("/feedback", data=form | {"true_label": ""}).text
    assert at_work.report()["labels"]["given"] == 0
    assert at_work.give("a", APPLE) == 201
    later = time.time() + 601
    monkeypatch.setattr("experiment.record.labels.time.time", lambda: later)
    assert at_work.client.post("/feedback", data=form | {"true_label": LEMON}).status_code == 409
    assert at_work.report()["accuracy"]["custom"]["right"] == 1


def test_what_was_answered_503_is_not_stored_later(at_work: At, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work.ledger.write(line("a"))
    eventually(lambda: at_work.report()["traffic"]["assigned"])
    monkeypatch.setattr("experiment.web.labels.feedback._ANSWER_S", -1)
    assert at_work.give("a", LEMON) == 503
    assert at_work.report()["labels"]["given"] == 0
    monkeypatch.undo()
    assert at_work.give("a", LEMON) == 201


def test_a_photo_counts_once_and_a_person_a_stated_number_of_times(at_work: At) -> None:
    at_work.ledger.write(line("a"), line("b", image_sha256=hashlib.sha256(b"a").hexdigest()))
    assert at_work.client.post("/feedback", json={"request_id": "a", "true_label": LEMON}).json()["counts"]
    again = at_work.client.post("/feedback", json={"request_id": "b", "true_label": LEMON})
    assert (again.status_code, again.json()["counts"]) == (201, False)
    assert "a photo counts once" in again.json()["detail"]
    assert at_work.report()["labels"]["again"] == 1

    at_work.ledger.write(*(line(f"r{number}") for number in range(22)))
    counted = [
        at_work.client.post(
            "/feedback", json={"request_id": f"r{number}", "true_label": LEMON}, headers={"X-Person": "0123456789"}
        ).json()["counts"]
        for number in range(22)
    ]
    assert counted == [True] * 20 + [False] * 2
    assert "2 by people who had given 20, the most that count" in at_work.report()["verdict"]["counted"]


def test_only_who_has_the_token_says_that_a_label_is_blind(at_work: At) -> None:
    at_work.ledger.write(line("a"))
    said = {"request_id": "a", "true_label": LEMON, "blind": True}
    assert at_work.client.post("/feedback", json=said).status_code == 401
    assert at_work.client.post("/feedback", json=said, headers=at_work.operator).status_code == 201


def test_a_label_that_was_typed_is_taken_however_its_letters_are_written(
    at_work: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "experiment.web.labels.feedback.LABELS", (*(f"k\u00e4fer {number}" for number in range(20)), "other")
    )
    at_work.ledger.write(line("a"))
    form = {"request_id": "a", "true_label": "ka\u0308fer 3 "}
    eventually(lambda: "Noted: k\u00e4fer 3" in at_work.client.post("/feedback", data=form).text)

    refused = at_work.client.post("/feedback", data=form | {"true_label": "beetle"})
    assert refused.status_code == 422
    assert "There is no class &#39;beetle&#39;. There are k\u00e4fer 0, " in refused.text
    assert "\u2026 (21 in all)" in refused.text


def test_what_the_other_variant_said_is_shown_after_the_label_which_then_stands(at_work: At) -> None:
    at_work.ledger.write(both("a", APPLE, LEMON))
    ask = {"request_id": "a"}
    eventually(lambda: at_work.report()["pairs"]["disagree"])
    assert at_work.client.post("/feedback/answers", data=ask).status_code == 404

    noted = at_work.client.post("/feedback", data=ask | {"true_label": LEMON}).text
    assert f"Noted: {LEMON}." in noted
    assert "vgg16" not in noted
    assert "1 label so far: see which model is ahead" in noted

    shown = at_work.client.post("/feedback/answers", data=ask).text
    assert f"<strong>custom</strong> said {APPLE}, <strong>vgg16</strong> said {LEMON}. Your label stays." in unescape(
        shown
    )
    assert "Undo" not in shown
    for label in (APPLE, ""):
        assert at_work.client.post("/feedback", data=ask | {"change": "1", "true_label": label}).status_code == 409
    assert at_work.report()["labels"]["given"] == 1


def test_a_foreign_site_is_told_no_answers(at_work: At) -> None:
    answer = at_work.client.post(
        "/feedback/answers", data={"request_id": "a"}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403


def test_a_label_that_does_not_count_is_said_so_on_the_page(at_work: At) -> None:
    at_work.ledger.write(line("a"), line("b", image_sha256=hashlib.sha256(b"a").hexdigest()))
    assert at_work.give("a", LEMON) == 201
    page = at_work.client.post("/feedback", data={"request_id": "b", "true_label": LEMON}).text
    assert "a photo counts once" in page
