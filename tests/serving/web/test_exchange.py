import json
import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import uvicorn
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from serving.photos.errors import StarvedError
from serving.places import OverloadedError
from serving.predictor import Prediction
from serving.web.exchange import Exchange
from tests.classes import LEMON
from tests.serving.apps import GOOD, app_of, lemon, predictor_of, send, serving, variant_in
from tests.system import eventually, free_port

MB = 1024 * 1024
TOO_LARGE = {"detail": "The upload is larger than 10 MB."}
NO_FILE = {"detail": 'No photo was sent: send it as the field "file" of a multipart form.'}


def outcomes(client: TestClient) -> dict[str, float]:
    lines = re.findall(
        r'^predictions_total\{outcome="(\w+)",variant="custom"\} (.+)$', client.get("/metrics").text, re.M
    )
    return {outcome: float(count) for outcome, count in lines if float(count)}


@pytest.mark.parametrize("given", ["a", "7f3e-11_0.B", "x" * 64])
def test_a_request_id_is_kept(given: str, client: TestClient) -> None:
    answer = send(client, headers={"X-Request-ID": given})

    assert answer.headers["X-Request-ID"] == answer.json()["request_id"] == given


@pytest.mark.parametrize(
    "given",
    [b"", b"x" * 65, b"two words", b"a\tb", b"a/b", b'"quoted"', b"<b>", b"a,b", b"a;b=c", "größe".encode(), b"\xff"],
)
def test_an_odd_request_id_is_replaced(given: bytes, client: TestClient) -> None:
    answer = send(client, headers={b"X-Request-ID": given})

    assert answer.headers["X-Request-ID"] == answer.json()["request_id"]
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])


def test_no_two_requests_have_one_id(client: TestClient) -> None:
    assert len({send(client).headers["X-Request-ID"] for _ in range(5)}) == 5


def test_what_a_prediction_says_for_the_ledger(client: TestClient) -> None:
    headers = send(client).headers

    assert headers["X-Variant"] == "custom"
    assert headers["X-Predicted-Class"] == json.dumps(LEMON)[1:-1]
    assert headers["X-Probability"] == "0.700000"
    assert re.fullmatch("[0-9a-f]{64}", headers["X-Image-SHA256"])


@pytest.mark.parametrize("path", ["/predict", "/result/"])
def test_errors_name_variant_and_request_too(path: str, client: TestClient) -> None:
    answer = send(client, b"no photo", path, headers={"X-Request-ID": "mine"})

    assert answer.status_code == 400
    assert (answer.headers["X-Variant"], answer.headers["X-Request-ID"]) == ("custom", "mine")
    assert "X-Predicted-Class" not in answer.headers


@pytest.mark.parametrize("path", ["/predict", "/result/"])
def test_the_log_line_of_a_prediction(path: str, client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "serving"):
        send(client, path=path, headers={"X-Request-ID": "mine"})

    lines = [record.getMessage() for record in caplog.records if record.name == "serving"]
    assert len(lines) == 1
    assert re.fullmatch(rf"custom request_id=mine class={LEMON} p=0\.70 decode=\d+\.\dms infer=\d+\.\dms 200", lines[0])


def test_the_log_line_of_a_refusal(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "serving"):
        send(client, b"", headers={"X-Request-ID": "mine"})
        client.post("/predict", headers={"X-Request-ID": "mine"})

    assert [record.getMessage() for record in caplog.records if record.name == "serving"] == [
        'custom request_id=mine error="The file is empty." 400',
        r'custom request_id=mine error="No photo was sent: send it as the field \"file\" of a multipart form." 422',
    ]


@pytest.mark.parametrize("name", ["kiwi", "キズ", "red apple", 'a 5" pipe', '"', "a=b", "a\\b", "a\u00a0b"])
def test_a_class_of_any_name_is_read_back_from_the_log_line(name: str) -> None:
    line = Exchange("custom", "mine", prediction=Prediction({name: 0.7}, "", 0, 0)).log_line(200)

    said = re.fullmatch(r'custom request_id=mine class=("(?:[^"\\]|\\.)*"|[^\s"=\\]+) p=0\.70 decode=.+ 200', line)
    assert said
    assert (json.loads(said[1]) if said[1].startswith('"') else said[1]) == name


FORM = {"Content-Type": "multipart/form-data; boundary=x"}


def pieces(body: bytes) -> Iterator[bytes]:
    """Content of a length that is not said before."""
    for start in range(0, len(body), 64 * 1024):
        yield body[start : start + 64 * 1024]


def unread() -> Iterator[bytes]:
    pytest.fail("the body was read")
    yield b""


def part(disposition: bytes, content: bytes) -> bytes:
    return b"--x\r\nContent-Disposition: form-data; " + disposition + b"\r\n\r\n" + content + b"\r\n--x--\r\n"


@pytest.mark.parametrize("path", ["/predict", "/result/"])
def test_a_length_that_is_too_large_is_refused_before_anything_is_read(path: str, client: TestClient) -> None:
    answer = client.post(path, content=unread(), headers={**FORM, "Content-Length": str(10 * MB + 1)})

    assert answer.status_code == 413
    assert "The upload is larger than 10 MB." in answer.text


def test_an_upload_that_is_too_large_and_does_not_say_so(client: TestClient) -> None:
    upload = part(b'name="file"; filename="a.jpg"', bytes(11 * MB))
    answer = client.post("/predict", content=pieces(upload), headers=FORM)

    assert (answer.status_code, answer.json()) == (413, TOO_LARGE)
    assert "content-length" not in answer.request.headers


def test_an_upload_of_just_ten_megabytes_is_read(client: TestClient) -> None:
    head, tail = part(b'name="file"; filename="a.jpg"', b"|").split(b"|")
    padded = head + GOOD + bytes(10 * MB - len(head) - len(GOOD) - len(tail)) + tail
    assert len(padded) == 10 * MB

    assert client.post("/predict", content=pieces(padded), headers=FORM).status_code == 200
    assert client.post("/predict", content=padded, headers=FORM).status_code == 200


def test_all_that_is_being_received_has_a_bound(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = part(b'name="file"; filename="a.jpg"', bytes(MB))
    monkeypatch.setattr("serving.web.exchange.MAX_RECEIVING_BYTES", MB)

    answer = client.post("/predict", content=pieces(upload), headers=FORM)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json() == {"detail": "Too many photos are waiting. Try again in a moment."}
    monkeypatch.setattr("serving.web.exchange.MAX_RECEIVING_BYTES", 0)
    assert [send(client).status_code for _ in range(2)] == [200, 200], "small ones have room"


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"data": {"file": "just text"}},
        {"files": {"photo": ("a.jpg", GOOD)}},
        {"json": {"file": "aGVsbG8="}},
        {"content": GOOD, "headers": {"Content-Type": "image/jpeg"}},
        {"content": b"", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": part(b'name="file"', b"no filename"), "headers": FORM},
        {"content": part(b'name="file"; filename=""', b""), "headers": FORM},
    ],
    ids=["nothing", "text", "other field", "json", "bare", "empty form", "no filename", "no file chosen"],
)
@pytest.mark.parametrize("path", ["/predict", "/result/"])
def test_no_photo_in_the_request(path: str, request_: dict[str, Any], client: TestClient) -> None:
    answer = client.post(path, **request_)

    assert answer.status_code == 422
    if path == "/predict":
        assert answer.json() == NO_FILE
    else:
        assert "No photo was sent" in answer.text


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b"no form"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n\r\n--x--"),
        ("multipart/form-data; boundary=x", part(b'name="other"', b"x" * 2 * MB)),
        ("multipart/form-data; boundary=x", part(b'name="file"; filename="' + b"x" * 20_000 + b'"', GOOD)),
    ],
    ids=["no boundary", "no form", "no name", "long text", "long filename"],
)
def test_a_form_that_is_none(content_type: str, body: bytes, client: TestClient) -> None:
    answer = client.post("/predict", content=body, headers={"Content-Type": content_type})

    assert answer.status_code == 400
    assert list(answer.json()) == ["detail"]
    assert re.fullmatch(r'[A-Z][\w "-]+\.?', answer.json()["detail"])
    assert outcomes(client) == {"rejected": 1}
    assert send(client).status_code == 200


# Starlette leaves the half-received file to the garbage collector, which is at once.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_upload_that_breaks_off(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    whole = part(b'name="file"; filename="a.jpg"', GOOD)

    answer = client.post("/predict", content=pieces(whole[: len(whole) // 2]), headers=FORM)

    assert answer.status_code in (400, 422)
    assert "Traceback" not in caplog.text


def test_a_question_that_is_none(client: TestClient) -> None:
    answer = send(client, path="/predict?include_image=perhaps")

    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("include_image: Input should be a valid boolean")


def test_while_the_model_is_being_loaded(tmp_path: Path) -> None:
    loaded = threading.Event()

    def warming(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert loaded.wait(30)
        return lemon(pixels)

    with app_of(variant_in(tmp_path), warming) as client:
        try:
            answer = send(client)
            page = send(client, path="/result/")

            assert (answer.status_code, answer.json()) == (503, {"detail": "The model is still being loaded."})
            assert (page.status_code, page.headers["Retry-After"], answer.headers["Retry-After"]) == (503, "1", "1")
            assert "The model is still being loaded." in page.text
            assert outcomes(client) == {"overloaded": 2}
        finally:
            loaded.set()
        eventually(lambda: client.get("/readyz").is_success)
        assert send(client).status_code == 200


def test_more_photos_than_may_wait(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    go = threading.Event()
    go.set()

    def engine(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert go.wait(30)
        return lemon(pixels)

    with serving(tmp_path, engine, threads=2, queue_size=3) as client, ThreadPoolExecutor(5) as senders:
        go.clear()
        try:
            waiting = [senders.submit(send, client) for _ in range(5)]
            eventually(lambda: predictor_of(client).full(0))

            refused = send(client, headers={"X-Request-ID": "mine"})
            page = send(client, path="/result/")

            assert refused.status_code == page.status_code == 503
            assert refused.json() == {"detail": "Too many photos are waiting. Try again in a moment."}
            assert "Too many photos are waiting." in page.text
            assert refused.headers["Retry-After"] == page.headers["Retry-After"] == "1"
            assert (refused.headers["X-Variant"], refused.headers["X-Request-ID"]) == ("custom", "mine")
            assert client.post("/predict", content=unread(), headers=FORM).status_code == 503
            assert client.get("/livez").json() == {"alive": True}
            assert client.get("/readyz").status_code == 200
            assert client.get("/").status_code == 200
            assert not any(answer.done() for answer in waiting)
        finally:
            go.set()

        assert [answer.result().status_code for answer in waiting] == [200] * 5
        assert send(client).status_code == 200
        assert outcomes(client) == {"ok": 6, "overloaded": 3}


def test_work_for_a_client_who_has_left_is_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    go, asked = threading.Event(), threading.Semaphore(0)
    calls: list[NDArray[np.uint8]] = []
    go.set()

    def engine(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        calls.append(pixels)
        asked.release()
        assert go.wait(30)
        return lemon(pixels)

    body = part(b'name="file"; filename="a.jpg"', GOOD)
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    request = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with (
        serving(tmp_path, engine, threads=1) as client,
        caplog.at_level(logging.INFO, "serving"),
        running(client.app) as port,
        socket.create_connection(("127.0.0.1", port), timeout=30) as staying,
    ):
        go.clear()
        calls.clear()
        try:
            asked.acquire(timeout=30)  # the first, from warming up
            staying.sendall(request)
            assert asked.acquire(timeout=30)
            with socket.create_connection(("127.0.0.1", port), timeout=30) as leaving:
                leaving.sendall(request)
                eventually(lambda: predictor_of(client).pending == 2)
            eventually(lambda: "The client left before there was an answer." in caplog.text)
            assert predictor_of(client).pending == 1
        finally:
            go.set()
        assert staying.recv(20).startswith(b"HTTP/1.1 200 ")

    assert len(calls) == 1
    assert "Traceback" not in caplog.text


def test_small_ones_are_answered_while_large_ones_are_on_their_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow this machine is, small ones come all the while.
    monkeypatch.setattr("serving.pace._BESIDE_S", 600)
    large = GOOD + bytes(9 * MB)
    with serving(tmp_path) as client, running(client.app) as port, ThreadPoolExecutor(8) as senders:
        served = client.app.state.served  # type: ignore[attr-defined]

        def post(data: bytes) -> int:
            return requests.post(
                f"http://127.0.0.1:{port}/predict", files={"file": ("a.jpg", data)}, timeout=120
            ).status_code

        began = time.monotonic()
        assert post(GOOD) == 200
        waiting = [senders.submit(post, large) for _ in range(8)]
        most, answered = 0, 0
        while not all(answer.done() for answer in waiting):
            most = max(most, served.receiving)
            answered += post(GOOD) == 200

        assert [answer.result() for answer in waiting] == [200] * 8
        # 75 MB, of which the first 10 may pass at once, at 32 MB a second; from those that wait little is read.
        assert time.monotonic() - began > 1.5
        assert most < 50 * MB
        assert answered > 1


@contextmanager
def running(app: Any) -> Iterator[int]:
    """A server on a port of its own, for what a test client cannot do; the app has started already."""
    server = uvicorn.Server(uvicorn.Config(app, port=free_port(), log_config=None, lifespan="off"))
    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(server.run)
        try:
            eventually(lambda: server.started)
            yield server.config.port
        finally:
            server.should_exit = True
            ended.result()


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (OverloadedError(), 503, "Too many photos are waiting. Try again in a moment."),
        (StarvedError("There is no time."), 429, "There is no time."),
    ],
)
def test_a_photo_that_there_is_no_place_or_no_time_for_once_it_is_received(
    error: Exception, status: int, sentence: str, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_late(data: bytes, with_preview: bool, shadow: bool) -> Prediction:
        raise error

    monkeypatch.setattr(predictor_of(client), "predict", too_late)

    answer = send(client)

    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "1")
    assert answer.json()["detail"] == sentence
    assert outcomes(client) == {"overloaded": 1}


def test_a_fault_of_our_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = threading.Event()

    def engine(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        if broken.is_set():
            raise RuntimeError("cannot read /srv/secret/weights.bin")
        return lemon(pixels)

    with serving(tmp_path, engine) as client, caplog.at_level(logging.INFO, "serving"):
        broken.set()
        caplog.clear()
        answer = send(client, headers={"X-Request-ID": "mine"})
        page = send(client, path="/result/")
        broken.clear()

        assert answer.status_code == page.status_code == 500
        assert answer.json() == {"detail": "Something went wrong here, not with your photo."}
        assert "Something went wrong here" in page.text
        assert "secret" not in page.text + str(answer.headers) + str(page.headers)
        assert (answer.headers["X-Variant"], answer.headers["X-Request-ID"]) == ("custom", "mine")
        failed = next(record for record in caplog.records if record.exc_info)
        assert failed.getMessage() == "custom request_id=mine failed"
        assert "cannot read /srv/secret/weights.bin" in caplog.text
        assert 'custom request_id=mine error="Something went wrong here, not with your photo." 500' in caplog.text
        assert outcomes(client) == {"failed": 2}
        assert send(client).status_code == 200
