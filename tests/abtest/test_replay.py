"""``abtest replay``, ``report`` and ``simulate``."""

from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner, Result

from abtest.cli import app
from abtest.client import System
from abtest.replay import ReplayError, find_photos
from tests.classes import APPLE, LEMON
from tests.system import free_port


def run(*arguments: str, url: str = "http://127.0.0.1:1") -> Result:
    return CliRunner().invoke(app, ["--url", url, *arguments], env={"COLUMNS": "160"})


class Answer:
    """What a server would say."""

    def __init__(self, status: int, body: object = None, **headers: str) -> None:
        self.status_code = status
        self.ok = status < 400
        self.headers = headers
        self._body = body

    def json(self) -> object:
        if self._body is None:
            raise ValueError
        return self._body


class Server:
    """Predicts lemons; ``first`` are the answers before that."""

    def __init__(self, *first: Answer) -> None:
        self.first = list(first)
        self.headers: dict[str, str] = {}
        self.labels: list[str] = []

    def post(self, url: str, **sent: object) -> Answer:
        if self.first:
            return self.first.pop(0)
        if url.endswith("/predict"):
            return Answer(200, {"variant": "vgg16", "request_id": "a", "likely_class": LEMON})
        self.labels.append(str(sent["json"]))
        return Answer(201, {})


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for label, names in {LEMON: "ab", APPLE: "c"}.items():
        (tmp_path / label).mkdir(parents=True)
        for name in names:
            (tmp_path / label / f"{name}.JPG").write_bytes(b"jpeg")
    (tmp_path / LEMON / "README.md").touch()
    return tmp_path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    fake = Server()
    monkeypatch.setattr(requests, "Session", lambda: fake)
    monkeypatch.setattr("abtest.replay.time.sleep", lambda _: None)
    monkeypatch.setattr("abtest.aftermath.time.sleep", lambda _: None)
    facts = {
        "labels": {"classes": [APPLE, LEMON]},
        "confusion": {},
        "in_force": {"epoch": 1, "split": {"shadow": None}},
        "history": [],
    }
    monkeypatch.setattr(System, "get", lambda *_: facts)
    return fake


def test_photos_are_sent_and_their_folders_are_their_labels(photos: Path, server: Server) -> None:
    result = run("replay", str(photos), "--label-from-folder")
    assert result.exit_code == 0, result.output
    assert len(server.labels) == 3
    assert "2 of 3 (66.7 %)" in result.output
    assert "vgg16" in result.output


def test_without_labels_nothing_is_said_of_them(photos: Path, server: Server) -> None:
    assert run("replay", str(photos), "--concurrency", "2").exit_code == 0
    assert not server.labels


def test_a_system_that_is_overloaded_is_asked_again(photos: Path, server: Server) -> None:
    server.first = [Answer(503, {"detail": "busy"}, **{"Retry-After": "1"}), Answer(429), Answer(503)]
    result = run("replay", str(photos), "--concurrency", "1", "--label-from-folder")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(400, {"detail": "The file is empty."}), "prediction refused (400): The file is empty."),
        (Answer(502), "prediction refused (502): no reason given"),
    ],
)
def test_what_was_refused_is_counted_and_said(photos: Path, server: Server, answer: Answer, said: str) -> None:
    server.first = [answer]
    result = run("replay", str(photos), "--concurrency", "1")
    assert result.exit_code == 1
    assert f"1 × {said}" in result.output


def test_refused_feedback_is_said_too(photos: Path, server: Server) -> None:
    prediction = Answer(200, {"variant": "vgg16", "request_id": "a", "likely_class": LEMON})
    server.first = [prediction, Answer(409, {"detail": "has a label already"})]
    result = run("replay", str(photos), "--concurrency", "1", "--label-from-folder")
    assert "1 × feedback refused (409): has a label already" in result.output


def test_a_photo_that_vanished_is_said(photos: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_photos(photos, None)
    (photos / APPLE / "c.JPG").unlink()
    monkeypatch.setattr("abtest.cli.find_photos", lambda *_: found)
    assert "c.JPG: No such file or directory" in run("replay", str(photos)).output


def test_where_nothing_answers_that_is_said(photos: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert f"3 × no answer from {url}" in run("replay", str(photos), url=url).output
    result = run("report", url=url)
    assert result.exit_code == 1
    assert "Is the system running?" in result.output


def test_a_folder_must_hold_photos_and_be_named_after_a_label(tmp_path: Path) -> None:
    for folder, said in ((tmp_path / "none", "is no folder"), (tmp_path, "no photos")):
        with pytest.raises(ReplayError, match=said):
            find_photos(folder, [LEMON, APPLE])
    (tmp_path / "pears").mkdir()
    (tmp_path / "pears" / "a.jpg").touch()
    with pytest.raises(ReplayError, match="which is no label"):
        find_photos(tmp_path, [LEMON, APPLE])


def test_an_experiment_is_simulated_before_it_is_begun() -> None:
    result = run("simulate", "0.8", "0.9", "--shadow", "1", "--runs", "40", "--labels", "1500")
    assert result.exit_code == 0, result.output
    assert "the candidate is better" in result.output
    assert "Wrong: 0 %" in result.output
    assert run("simulate", "2", "0.9").exit_code == 2
