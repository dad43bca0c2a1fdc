"""What is forgotten when somebody asks, and when its time has come."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from experiment.record.database import Database, counts, requests
from experiment.record.erasure import erase_person, erase_request
from experiment.record.labels import Label, give_label
from experiment.record.retention import forget_photos
from tests.classes import LEMON
from tests.experiment.conftest import Ledger, begin, line, report_of, take_in

PERSON, OTHER = "0123456789", "9876543210"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def known(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(requests.c.request_id).order_by(requests.c.request_id)).scalars())


def test_a_request_is_forgotten_with_its_label_and_its_photo(database: Database, ledger: Ledger, photos: Path) -> None:
    begin(database)
    take_in(database, ledger, line("a", person=PERSON), line("b"))
    give_label(database, "a", Label(LEMON))
    for name in "ab":
        (photos / f"{name}.jpg").touch()
    before = report_of(database)
    erased = erase_request(database, photos, "a")
    assert (erased.requests, erased.labels, erased.photos, erased.person) == (1, 1, 1, PERSON)
    assert known(database) == ["b"]
    assert [path.name for path in photos.iterdir()] == ["b.jpg"]
    after = report_of(database)
    assert (after["traffic"], after["accuracy"]) == (before["traffic"], before["accuracy"])
    assert erase_request(database, photos, "a").requests == 0


def test_a_person_is_forgotten_and_counted_as_nobody(database: Database, ledger: Ledger, photos: Path) -> None:
    begin(database)
    sticky = {"by": "sticky", "person": PERSON}
    take_in(database, ledger, line("a", **sticky), line("b", **sticky), line("c", by="sticky", person=OTHER))
    for name in "abc":
        give_label(database, name, Label(LEMON, labeller=OTHER if name == "c" else PERSON))
    (photos / "b.jpg").touch()
    before = report_of(database)["traffic"]
    erased = erase_person(database, photos, PERSON)
    assert (erased.requests, erased.labels, erased.photos) == (2, 2, 1)
    assert known(database) == ["c"]
    with database.read() as connection:
        assert not connection.execute(select(func.count()).where(counts.c.variant == PERSON)).scalar()
        persons = select(func.count(counts.c.variant.distinct())).where(counts.c.what == "person", counts.c.n > 0)
        assert connection.execute(persons).scalar() == 2  # as many as before
    assert report_of(database)["traffic"] == before


def test_a_photo_that_cannot_be_deleted_keeps_the_rest(database: Database, ledger: Ledger, photos: Path) -> None:
    begin(database)
    take_in(database, ledger, line("a"))
    (photos / "a.jpg").mkdir()  # what unlink refuses, also for root
    with pytest.raises(OSError, match=r"directory|permitted"):
        erase_request(database, photos, "a")
    assert known(database) == ["a"]


def test_old_photos_go(photos: Path) -> None:
    for name, days in (("old", 91), ("new", 89)):
        (photos / f"{name}.jpg").touch()
        then = time.time() - days * 86_400
        os.utime(photos / f"{name}.jpg", (then, then))
    assert forget_photos(photos, 90) == 1
    assert [path.name for path in photos.iterdir()] == ["new.jpg"]


def test_it_is_asked_for_over_http(serve: Callable[..., Any], photos: Path) -> None:
    with serve(keep_images=photos) as running:
        (photos / "a.jpg").touch()

        def forget(**wanted: str) -> Any:
            return running.client.post("/experiment/forget", json=wanted, headers=running.operator)

        answer = forget(request_id="a")
        assert answer.status_code == 200
        assert answer.json()["photos"] == 1
        assert "What was counted stays" in answer.json()["stays"]
        assert forget(request_id="a").status_code == 404
        for wrong in ({}, {"request_id": "a", "person": PERSON}, {"person": "x"}, {"request_id": "../a"}):
            assert forget(**wrong).status_code == 422
        (photos / "b.jpg").mkdir()
        refused = forget(request_id="b")
        assert refused.status_code == 503
        assert "nothing was forgotten" in refused.json()["detail"]
