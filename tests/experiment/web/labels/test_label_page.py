"""Photos the variants do not agree on."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from tests.classes import APPLE, LEMON
from tests.experiment.conftest import At, both, line
from tests.system import eventually


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def shown(running: At) -> str:
    """The request whose photo the page shows."""
    text = running.client.get("/experiment/label").text
    assert APPLE in text
    found = re.search(r'name="request_id" value="([^"]+)"', text)
    assert found, text
    return found[1]


def test_only_disputed_photos_that_are_kept_are_shown(serve: Callable[..., Any], photos: Path) -> None:
    for name in ("kept", "agreed", "lonely"):
        (photos / f"{name}.jpg").write_bytes(b"jpeg of " + name.encode())
    with serve(keep_images=photos) as running:
        running.ledger.write(
            both("kept", APPLE, LEMON),
            both("lost", APPLE, LEMON),
            both("agreed", APPLE, APPLE),
            line("lonely"),
        )
        eventually(lambda: sum(running.report()["traffic"]["assigned"].values()) == 4)
        assert shown(running) == "kept"
        photo = running.client.get("/experiment/label/photo/kept")
        assert (photo.content, photo.headers["content-type"]) == (b"jpeg of kept", "image/jpeg")
        taken = running.client.post("/experiment/label", data={"request_id": "kept", "true_label": LEMON})
        assert "Nothing to label" in taken.text
        assert running.report()["pairs"]["only_candidate"] == 1
        assert running.report()["accuracy"]["vgg16"]["total"] == 0


def test_the_answers_are_not_shown(serve: Callable[..., Any], photos: Path) -> None:
    (photos / "kept.jpg").touch()
    with serve(keep_images=photos) as running:
        running.ledger.write(both("kept", APPLE, LEMON))
        eventually(lambda: running.report()["pairs"]["disagree"])
        text = running.client.get("/experiment/label").text
        assert "custom" not in text
        assert "vgg16" not in text


def test_without_kept_photos_the_page_says_what_to_set(at_work: At) -> None:
    assert "KEEP_IMAGES" in at_work.client.get("/experiment/label").text
    assert at_work.client.get("/experiment/label/photo/a").status_code == 404


def test_only_photos_are_given_out(serve: Callable[..., Any], photos: Path) -> None:
    (photos.parent / "secret.jpg").touch()
    with serve(keep_images=photos) as running:
        for name in ("none", "..%2Fsecret", "%2e%2e%2fsecret", "a b"):
            assert running.client.get(f"/experiment/label/photo/{name}").status_code == 404


def test_wrong_labels_and_foreign_forms_are_refused(at_work: At) -> None:
    form = {"request_id": "a", "true_label": "banana"}
    assert at_work.client.post("/experiment/label", data=form).status_code == 422
    form["true_label"] = LEMON
    foreign = at_work.client.post("/experiment/label", data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403


def test_a_database_that_is_away_is_said_so(
    serve: Callable[..., Any], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("", {}, Exception("locked"))

    monkeypatch.setattr("experiment.web.labels.label_page.disputed", away)
    monkeypatch.setattr("experiment.web.labels.label_page.give_label", away)
    with serve(keep_images=photos) as running:
        assert running.client.get("/experiment/label").status_code == 503
        form = {"request_id": "a", "true_label": LEMON}
        assert running.client.post("/experiment/label", data=form).status_code == 503
