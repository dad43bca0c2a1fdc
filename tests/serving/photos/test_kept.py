import logging
import os
from pathlib import Path

import pytest

from serving.photos.kept import Photos
from serving.settings import Settings
from tests.serving.apps import GOOD, send, serving

KB = 1024


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_photo_is_kept_under_its_request_id(tmp_path: Path) -> None:
    Photos(tmp_path, 1).keep("mine", GOOD)

    assert kept(tmp_path) == ["mine.jpg"]
    assert (tmp_path / "mine.jpg").read_bytes() == GOOD


def test_a_request_id_that_comes_again_replaces_no_photo(tmp_path: Path) -> None:
    photos = Photos(tmp_path, 1)
    photos.keep("mine", GOOD)
    photos.keep("mine", b"forged")

    assert kept(tmp_path) == ["mine.jpg"]
    assert (tmp_path / "mine.jpg").read_bytes() == GOOD


@pytest.mark.parametrize("request_id", [".", "..", "x" * 64, ".hidden", "-"])
def test_an_odd_request_id_stays_in_the_folder(request_id: str, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()

    Photos(tmp_path / "photos", 1).keep(request_id, GOOD)

    assert kept(tmp_path / "photos") == [f"{request_id}.jpg"]
    assert kept(tmp_path) == ["photos"]


def test_the_oldest_make_room(tmp_path: Path) -> None:
    for age in range(30):
        old = tmp_path / f"old-{age:02}.jpg"
        old.write_bytes(bytes(100 * KB))
        os.utime(old, (1e9 - age, 1e9 - age))

    Photos(tmp_path, 1).keep("new", bytes(100 * KB))

    assert kept(tmp_path) == ["new.jpg", *(f"old-{age:02}.jpg" for age in range(9))]


def test_room_is_made_time_and_again(tmp_path: Path) -> None:
    photos = Photos(tmp_path, 1)

    for number in range(120):
        photos.keep(f"{number}", bytes(100 * KB))

    assert len(kept(tmp_path)) < 10 + 50


def test_a_folder_that_cannot_be_written_harms_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Photos(tmp_path / "absent", 1).keep("mine", GOOD)

    assert caplog.messages == ["A photo could not be kept: No such file or directory"]
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("path", ["/predict", "/result/"])
def test_an_app_keeps_photos_where_asked_to(path: str, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()

    with serving(tmp_path, keep_images=folder) as client:
        answer = send(client, path=path, headers={"X-Request-ID": "mine"})
        send(client, b"no photo")

    assert answer.status_code == 200
    assert kept(folder) == ["mine.jpg"]
    assert (folder / "mine.jpg").read_bytes()[:3] == b"\xff\xd8\xff"


def test_an_app_keeps_none_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEP_IMAGES", "")
    assert Settings().keep_images is None

    with serving(tmp_path) as client:
        send(client)

    assert list(tmp_path.rglob("*.jpg")) == []


def test_a_disk_that_is_full_costs_no_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving(tmp_path, keep_images=tmp_path / "absent") as client, caplog.at_level(logging.WARNING, "serving"):
        assert send(client).status_code == 200

    assert "A photo could not be kept" in caplog.text
