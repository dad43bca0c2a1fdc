"""What once got through, tried again: each attack by its name, what came of it, and whether the system held."""

import socket
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import requests
import torch

import download_models
from app_custom.app.model import FruitCNN
from attack.confined import Confined
from attack.uploads import Answer, Uploads
from tests.download.conftest import CUSTOM, VGG16, saved
from tests.download.site import running
from tests.serving.photos.hostile import (
    BOMBS,
    LARGE_BUT_GOOD,
    ODD_BUT_WHOLE,
    ODD_METADATA,
    tiff_of_one_tile_for_all,
)
from tests.system import eventually

__all__ = ["ROWS", "Row", "Target"]

_TIMEOUT_S = 60


@dataclass(frozen=True)
class Row:
    attack: str
    seen: str
    held: bool


@dataclass(frozen=True)
class Target:
    """The system under attack, whose uploads are counted; how often some attacks are tried."""

    system: Confined
    uploads: Uploads
    photo: bytes
    alternations: int = 40
    labels: int = 100

    def facts(self) -> Any:
        """What the experiment says, to its operator."""
        token = (self.system.place.data / "token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        return requests.get(f"{self.system.url}/experiment.json", headers=headers, timeout=_TIMEOUT_S).json()

    def raw(self, data: bytes) -> bytes:
        """What the system says to bytes that are no request of a well-behaved client."""
        parts = urlsplit(self.system.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return answer


def _refused(answers: list[Answer]) -> tuple[str, bool]:
    statuses = sorted({answer.status for answer in answers})
    slowest = max(answer.seconds for answer in answers)
    return f"{', '.join(map(str, statuses))} after {slowest:.2f} s at most", set(statuses) <= {400, 413}


def gif(target: Target) -> tuple[str, bool]:
    return _refused([target.uploads.post(0, "gif of 43 bytes", BOMBS["gif of 43 bytes"]())])


def tiffs(target: Target) -> tuple[str, bool]:
    tiff = tiff_of_one_tile_for_all()
    return _refused(target.uploads.send([("tiff of one tile for all", tiff)] * 4))


def long_png(target: Target) -> tuple[str, bool]:
    names = ("png of one pixel by fifty million", "png of fifty million pixels by one")
    return _refused(target.uploads.send([(name, BOMBS[name]()) for name in names]))


def comments(target: Target) -> tuple[str, bool]:
    files = [(name, ODD_METADATA[name]()) for name in ODD_METADATA if "comment of" in name]
    answers = target.uploads.send(files, "/result/") + target.uploads.send(files)
    return f"{len(answers)} answers, all of them 200", {answer.status for answer in answers} == {200}


def premultiplied(target: Target) -> tuple[str, bool]:
    name = "tiff of grey that is multiplied by its transparency"
    answer = target.uploads.post(0, name, ODD_BUT_WHOLE[name]())
    return str(answer.status), answer.status == 200


def alternation(target: Target) -> tuple[str, bool]:
    """Slow photos for the candidate and quick ones for the control, as long as turns are strict."""
    slow, candidate = LARGE_BUT_GOOD["avif"](), target.facts()["experiment"]["candidate"]
    last = candidate
    for _ in range(target.alternations):
        data = target.photo if last == candidate else slow
        files = {"file": ("a.jpg", data)}
        answer = requests.post(f"{target.system.url}/predict", files=files, timeout=_TIMEOUT_S)
        if answer.status_code in (429, 503):
            time.sleep(0.5)
        last = answer.headers.get("X-Variant", last)
        target.uploads.sent += 1
        target.uploads.statuses[answer.status_code] += 1
    facts = target.facts()
    latched = facts["guardrail"]["latched"]
    return (
        facts["guardrail"]["reason"] if latched else f"the experiment goes on after {target.alternations}"
    ), not latched


def stuffing(target: Target) -> tuple[str, bool]:
    """Predictions and labels of people that there are not, all of them for the candidate."""
    before, candidate = target.facts()["verdict"]["outcome"], target.facts()["experiment"]["candidate"]
    taken = 0
    for person in range(target.labels):
        with requests.Session() as session:
            session.headers["X-User-ID"] = f"nobody-{person}"
            # The same photo would count once.
            photo = target.photo + person.to_bytes(2)
            answer = session.post(f"{target.system.url}/predict", files={"file": photo}, timeout=_TIMEOUT_S)
            target.uploads.sent += 1
            target.uploads.statuses[answer.status_code] += 1
            if answer.status_code != 200:
                continue
            said = answer.json()
            right = answer.headers["X-Variant"] == candidate
            label = {"request_id": said["request_id"], "true_label": said["likely_class"] if right else "other"}
            label |= {"ticket": answer.headers["X-Ticket"]} if "X-Ticket" in answer.headers else {}
            given = session.post(f"{target.system.url}/feedback", json=label, timeout=_TIMEOUT_S)
            taken += given.status_code == 201 and bool(given.json().get("counts", True))
    time.sleep(1)
    after = target.facts()["verdict"]["outcome"]
    return f"{taken} of {target.labels} labels counted; verdict {before} before, {after} after", before == after


def strangers_photos(target: Target) -> tuple[str, bool]:
    """Somebody else's photo: seen, and overwritten by one that says it is the same request."""
    url, name = target.system.url, {"X-Request-ID": "a-strangers"}
    requests.post(f"{url}/predict", files={"file": target.photo}, headers=name, timeout=_TIMEOUT_S)
    kept = Path(target.system.settings["KEEP_IMAGES"], "a-strangers.jpg")
    eventually(kept.exists)
    before = kept.read_bytes()
    other = ODD_BUT_WHOLE["png of one pixel"]()
    requests.post(f"{url}/predict", files={"file": other}, headers=name, timeout=_TIMEOUT_S)
    target.uploads.sent += 2
    target.uploads.statuses[200] += 2
    seen = [
        path
        for path in ("/experiment/label/photo/a-strangers", "/experiment/label")
        if requests.get(url + path, timeout=_TIMEOUT_S, allow_redirects=False).status_code == 200
    ]
    replaced = kept.read_bytes() != before
    words = ["seen at " + " and ".join(seen) if seen else "not to be seen", "replaced" if replaced else "as it was"]
    return ", ".join(words), not seen and not replaced


def bare_pages(target: Target) -> tuple[str, bool]:
    paths = (b"/static/..%2f..%2fapp.py", b"/static/%00", b"/%2e%2e/%2e%2e/etc/passwd")
    asked = [b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path for path in paths]
    answers = [target.raw(data) for data in [*asked, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]]
    bare = sum(b"<center>nginx" in answer or b" 500 " in answer[:20] for answer in answers)
    return f"{bare} of {len(answers)} answered by nginx's bare page or with 500", not bare


def wrong_words(target: Target) -> tuple[str, bool]:
    requests_ = (
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    )
    wrong = sum(b"no variant of that name" in target.raw(data) for data in requests_)
    return f"{wrong} of {len(requests_)} told of a variant", not wrong


def foreign_host(target: Target) -> tuple[str, bool]:
    paths = ("/experiment/label/", "/experiment/", "/interface", "/result", "/feedback/")
    led = []
    for path in paths:
        headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
        answer = requests.get(target.system.url + path, headers=headers, timeout=_TIMEOUT_S, allow_redirects=False)
        led += [path] * ("evil.example" in answer.headers.get("Location", ""))
    return (f"led astray at {', '.join(led)}" if led else "nowhere led astray"), not led


def cross_site(target: Target) -> tuple[str, bool]:
    answer = target.system.predict(target.photo)
    label = f'{{"request_id": "{answer.headers["X-Request-ID"]}", "true_label": "lemon"}}'
    headers = {"Content-Type": "text/plain", "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    status = requests.post(f"{target.system.url}/feedback", label, headers=headers, timeout=_TIMEOUT_S).status_code
    return str(status), status in (400, 403, 415, 422)


def replaced_weights(_: Target) -> tuple[str, bool]:
    """The published file, fetched once; then another that fits the model as well."""
    with TemporaryDirectory() as folder, running() as site:
        dest = Path(folder)
        (dest / VGG16).write_bytes(b"not asked for")
        arguments = ["--dest", folder, "--base-url", site.url]
        said = StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            site.files = {CUSTOM: saved(FruitCNN().state_dict())}
            first = download_models.main(arguments)
            before = (dest / CUSTOM).read_bytes()
            site.files = {
                CUSTOM: saved({key: torch.zeros_like(value) for key, value in FruitCNN().state_dict().items()})
            }
            site.validators = {"ETag": '"2"'}
            second = download_models.main([*arguments, "--force"])
        held = (first, second) == (0, 1) and (dest / CUSTOM).read_bytes() == before
    return "refused, and what was there stays" if held else "taken", held


ROWS: dict[str, Callable[[Target], tuple[str, bool]]] = {
    "a GIF of 43 bytes with a canvas of 65535²": gif,
    "four TIFFs whose tiles are all the same 0.85 MB": tiffs,
    "PNGs of 1 × 50,000,000 pixels and the other way round": long_png,
    "PNGs and a GIF with a comment over 64 KB, on both paths": comments,
    "a good TIFF of mode La": premultiplied,
    "quick and slow photos, in turn as the variants are": alternation,
    "100 anonymous predictions and labels for the candidate": stuffing,
    "a stranger's kept photo, and its request id sent again": strangers_photos,
    "`/static/..%2f..%2fapp.py`, `/static/%00`, an HTTP/2 preface": bare_pages,
    "requests that nginx itself refuses": wrong_words,
    "redirects with a `Host` of the client's": foreign_host,
    "cross-site JSON sent as text/plain": cross_site,
    "a published model file replaced in its bucket": replaced_weights,
}
"""In the order of the issue's table, but for the last decoding row."""
