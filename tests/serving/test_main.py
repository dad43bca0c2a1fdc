import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path

import pytest
import requests
import torch

from app_custom.app.model import FruitCNN
from local.parts import ROOT
from serving.variant import listed
from tests.serving.apps import GOOD
from tests.system import eventually, free_port
from variants import VARIANTS, Variant

PUBLISHED = "fruit_classifier_state_dict.pt"


class Process:
    """``python -m serving …``, and what it prints."""

    def __init__(self, folder: Path, arguments: list[str], environment: dict[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._out, self._err = folder / "out.txt", folder / "err.txt"
        with self._out.open("w") as out, self._err.open("w") as err:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "serving", *arguments],
                cwd=folder,
                env={**os.environ, "PORT": str(self.port), **environment},
                stdout=out,
                stderr=err,
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def status(self) -> int:
        """How it ended."""
        return self.popen.wait(60)

    def wait_ready(self) -> None:
        def look() -> bool:
            assert self.popen.poll() is None, self.out + self.err
            return requests.get(f"{self.url}/readyz", timeout=5).ok

        eventually(look)


Serve = Callable[..., AbstractContextManager[Process]]


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    """Where the weights of a copy of the project lie, whose code is this one's; there are none yet."""
    for name in ("serving", "variants"):
        (tmp_path / name).symlink_to(ROOT / name)
    app = tmp_path / "app_custom" / "app"
    (app / "artifacts").mkdir(parents=True)
    for name in ("variant.toml", "__init__.py", "app/__init__.py", "app/model.py"):
        (tmp_path / "app_custom" / name).symlink_to(ROOT / "app_custom" / name)
    return app / "artifacts"


@pytest.fixture
def serve(tmp_path: Path, artifacts: Path) -> Serve:
    @contextmanager
    def start(*arguments: str, **environment: str) -> Iterator[Process]:
        process = Process(tmp_path, [*(arguments or ["app_custom"])], environment)
        try:
            yield process
        finally:
            process.popen.kill()
            process.popen.wait()

    return start


@pytest.fixture
def starter(artifacts: Path) -> Path:
    """The weights that are in the project."""
    path = artifacts / "starter.safetensors"
    path.symlink_to(ROOT / "app_custom" / "app" / "artifacts" / "starter.safetensors")
    return path


@pytest.fixture
def cached() -> dict[str, str]:
    return {"CACHE_DIR": str(ROOT / ".cache")}


def test_serves_until_it_is_told_to_stop(serve: Serve, starter: Path, cached: dict[str, str]) -> None:
    # As in a container, whose user has no folder to write to.
    with serve(**cached, HOME="/proc") as process:
        process.wait_ready()
        answer = requests.post(
            f"{process.url}/predict", files={"file": GOOD}, headers={"X-Request-ID": "mine"}, timeout=30
        )
        large = requests.post(f"{process.url}/predict", files={"file": bytes(12 * 2**20)}, timeout=30)
        process.popen.send_signal(signal.SIGINT)

        assert process.status() == 0
    assert answer.status_code == 200
    assert answer.json()["variant"] == "custom"
    assert sum(answer.json()["probabilities"].values()) == pytest.approx(1)
    assert (large.status_code, large.json()) == (413, {"detail": "The upload is larger than 10 MB."})
    assert "server" not in answer.headers
    assert process.err == ""
    lines = process.out.splitlines()
    assert re.fullmatch(r"custom weights=starter\.safetensors sha256=[0-9a-f]{64}", lines[0])
    assert re.fullmatch(r"custom engine='openvino .+' threads=\d+", lines[1])
    assert re.fullmatch(r"custom ready after \d+\.\d s", lines[2])
    # In quotes where it has spaces.
    said = rf"class=\"?{re.escape(answer.json()['likely_class'])}\"? p={answer.json()['probability']:.2f}"
    assert re.fullmatch(rf"custom request_id=mine {said} decode=\d+\.\dms infer=\d+\.\dms 200", lines[3])
    assert re.fullmatch(r'custom request_id=\w{32} error="The upload is larger than 10 MB\." 413', lines[4])
    assert len(lines) == 5


def test_an_answer_leaves_whole_or_not_at_all(serve: Serve, starter: Path, cached: dict[str, str]) -> None:
    with serve(**cached) as process:
        process.wait_ready()
        with socket.create_connection(("127.0.0.1", process.port)) as connection:
            for _ in range(50):
                connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
                assert f"content-length: {len(body)}".encode() in head
                assert body


def test_answers_what_it_has_begun_before_it_stops(serve: Serve, starter: Path, cached: dict[str, str]) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    body = head + GOOD + b"\r\n--x--\r\n"
    request = (
        "POST /predict HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: mine\r\nExpect: 100-continue\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(body)}\r\n\r\n"
    )

    with serve(**cached) as process:
        process.wait_ready()

        def closed() -> bool:
            try:
                socket.create_connection(("127.0.0.1", process.port), timeout=5).close()
            except ConnectionRefusedError:
                return True
            return False

        with socket.create_connection(("127.0.0.1", process.port), timeout=60) as client:
            client.sendall(request.encode())
            assert client.recv(1000).startswith(b"HTTP/1.1 100 ")
            client.sendall(body[:1000])
            process.popen.send_signal(signal.SIGTERM)
            eventually(closed)
            assert process.popen.poll() is None
            client.sendall(body[1000:])
            answer = client.makefile("rb").read()

        assert process.status() in (0, -signal.SIGTERM)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"request_id":"mine"' in answer
    assert re.search(r"^custom request_id=mine class=.* 200$", process.out, re.M)


def test_prepares_a_start_with_the_published_weights(
    serve: Serve, artifacts: Path, starter: Path, tmp_path: Path
) -> None:
    torch.save(FruitCNN().state_dict(), artifacts / PUBLISHED)
    with serve("app_custom", "--prepare") as process:
        assert process.status() == 0
    prepared = {file.name: file.stat().st_ino for file in (tmp_path / ".cache").iterdir()}
    assert len(prepared) == 1

    with serve() as process:
        process.wait_ready()
        state = requests.get(f"{process.url}/readyz", timeout=5).json()
        page = requests.get(f"{process.url}/", timeout=5).text
        process.popen.send_signal(signal.SIGINT)
        assert process.status() == 0

    assert {file.name: file.stat().st_ino for file in (tmp_path / ".cache").iterdir()} == prepared
    assert state["weights"]["file"] == PUBLISHED
    assert PUBLISHED in page
    assert f"weights={PUBLISHED} sha256={state['weights']['sha256']}" in process.out


def test_no_weights(serve: Serve) -> None:
    with serve() as process:
        assert process.status() == 1

    assert process.out == "custom cannot start: no model in app_custom/app/artifacts: put its file there\n"
    assert process.err == ""


def test_weights_that_do_not_fit(serve: Serve, artifacts: Path, starter: Path) -> None:
    state = FruitCNN().state_dict()
    del state["fc1.weight"]
    torch.save(state, artifacts / PUBLISHED)

    with serve() as process:
        assert process.status() == 1

    assert process.out.splitlines()[1:] == [
        f"custom cannot start: {PUBLISHED} does not fit the model: fc1.weight is missing"
    ]
    assert process.err == ""


def test_weights_that_cannot_be_read(serve: Serve, artifacts: Path, starter: Path) -> None:
    (artifacts / PUBLISHED).write_bytes(b"<html>Not found</html>")

    with serve(ENGINE="torch") as process:
        assert process.status() == 1

    last = process.out.splitlines()[-1]
    assert last.startswith(f"custom cannot start: {PUBLISHED} is n")
    assert "Traceback" not in process.out + process.err


def test_a_port_that_is_taken(serve: Serve, starter: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serve(PORT=str(port)) as process:
            assert process.status() == 1

    assert process.err == f"app_custom cannot listen on 127.0.0.1, port {port}: Address already in use.\n"
    assert process.out == ""


def test_settings_that_are_none(serve: Serve) -> None:
    with serve(MAX_PIXELS="abc", ENGINE="cuda") as process:
        assert process.status() == 1

    assert process.err.splitlines() == [
        "app_custom: ENGINE=cuda: Input should be 'openvino' or 'torch'",
        "app_custom: MAX_PIXELS=abc: Input should be a valid integer, unable to parse string as an integer",
    ]
    assert process.out == ""


def test_a_variant_that_there_is_not(serve: Serve) -> None:
    with serve("app_resnet") as process:
        assert process.status() == 1

    assert process.err == "app_resnet: there is no folder app_resnet\n"


def test_cannot_prepare_without_weights(serve: Serve) -> None:
    with serve("app_custom", "--prepare") as process:
        assert process.status() == 1

    assert process.err.startswith("app_custom: no model in ")
    assert process.err.count("\n") == 1


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.service)
def test_every_variant_in_the_list_has_its_folder(variant: Variant) -> None:
    assert listed(ROOT / variant.service).name == variant.name


@pytest.mark.parametrize("name", ["custom", "vgg16"])
def test_a_given_variant_is_an_application_for_other_servers_too(name: str) -> None:
    assert import_module(f"app_{name}.app.main").app.state.served.name == name
