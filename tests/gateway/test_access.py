"""What nginx lets in: every role on every route, how much of it, and what its answers say."""

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from experiment.access.rules import RULES, Role, Rule
from tests.classes import LEMON
from tests.system import System, eventually

TIMEOUT_S = 60


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system that asks who it is, and keeps photos."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "images").mkdir()
    with System(
        folder,
        ACCESS="token",
        FORCED="operator",
        KEEP_IMAGES=str(folder / "images"),
        LOGINS_PER_MINUTE="100",
        TRUSTED_PROXIES="127.0.0.1",
        LOG="json",
    ) as running:
        yield running


@pytest.fixture(scope="module")
def tokens(guarded: System) -> dict[Role, str]:
    """What each role shows."""
    made = guarded.abtest("token", "labeller")
    assert made.returncode == 0, made.stderr
    return {
        Role.VISITOR: "",
        Role.LABELLER: made.stdout.strip(),
        Role.OPERATOR: (guarded.place.data / "token").read_text().strip(),
    }


def ask(system: System, rule: Rule, token: str, photo: bytes) -> requests.Response:
    """Asks for what makes no sense, so that nothing comes of it."""
    body: dict[str, object] = {"json": {}} if rule.method == "POST" else {}
    if rule.path in ("/predict", "/result/"):
        body = {"files": {"file": photo}}
    elif rule.path == "/experiment/login":
        body = {"data": {"token": (system.place.data / "token").read_text().strip()}}
    path = rule.path.replace("{path:path}", "style.css").replace("{request_id}", "none")
    return requests.request(
        rule.method,
        system.url + path,
        headers={"Authorization": f"Bearer {token}"} if token else {},
        timeout=TIMEOUT_S,
        allow_redirects=False,
        **body,  # type: ignore[arg-type]
    )


def check(system: System, rule: Rule, role: Role, needs: Role, answer: requests.Response) -> None:
    to_log_in = answer.headers.get("Location", "").startswith("/experiment/login?next=")
    if rule.inside:
        assert answer.status_code == 404
    elif role >= needs:
        assert not to_log_in
        assert answer.status_code not in (401, 403, 500, 502)
    elif role is Role.VISITOR:
        assert to_log_in if rule.page else answer.status_code == 401
    else:
        assert answer.status_code == 403
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.method} {rule.path}")
def test_every_role_on_every_route(
    guarded: System, tokens: dict[Role, str], shared_system: System, rule: Rule, photo: bytes
) -> None:
    for role in Role:
        check(guarded, rule, role, rule.least, ask(guarded, rule, tokens[role], photo))
        if role is not Role.LABELLER:  # there is none where everybody is one
            token = (shared_system.place.data / "token").read_text().strip() if role is Role.OPERATOR else ""
            check(shared_system, rule, role, rule.when_open, ask(shared_system, rule, token, photo))


def raw(system: System, request: bytes) -> tuple[int, bytes]:
    """The status and the body of the answer to bytes that no client would send."""
    parts = urlsplit(system.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), TIMEOUT_S) as connection:
        connection.sendall(request)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read()


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /static/..%2f..%2fapp.py HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /static/%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET / HTTP/9.1\r\nHost: a\r\n\r\n", 505),
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
def test_what_cannot_be_read_is_told_in_words(shared_system: System, request_line: bytes, status: int) -> None:
    said, body = raw(shared_system, request_line)
    assert said == status
    assert body.startswith(b'{"detail":"')
    assert b"variant of that name" not in body


def test_a_variant_that_there_is_none_of(shared_system: System, photo: bytes) -> None:
    answer = shared_system.predict(photo, **{"X-Variant": "resnet"})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("There is no variant of that name. The variants are custom")


@pytest.mark.parametrize("path", ["/experiment/label/", "/experiment/", "/interface", "/experiment", "/feedback/"])
def test_nobody_is_sent_to_the_host_of_a_request(guarded: System, path: str) -> None:
    answer = requests.get(
        guarded.url + path, headers={"Host": "evil.example"}, allow_redirects=False, timeout=TIMEOUT_S
    )
    assert "evil" not in answer.headers.get("Location", "")
    assert "evil" not in answer.text


@pytest.mark.parametrize("path", ["/predict", "/result/", "/feedback", "/experiment/label", "/experiment/login"])
@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
def test_another_site_changes_nothing(shared_system: System, path: str, headers: dict[str, str], photo: bytes) -> None:
    assert shared_system.predict(photo, path, **headers).status_code == 403
    assert shared_system.predict(photo, **{"Origin": shared_system.url}).status_code == 200


def test_the_same_answer_whoever_forces_what_he_may_not(guarded: System, tokens: dict[Role, str], photo: bytes) -> None:
    for role in Role:
        answer = guarded.predict(photo, **{"X-Variant": "vgg16", "Authorization": f"Bearer {tokens[role]}"})
        assert answer.status_code == (200 if role is Role.OPERATOR else 403)
    assert "operator's token" in guarded.predict(photo, "/result/", **{"X-Variant": "vgg16"}).text


def test_a_kept_photo_is_not_overwritten_by_its_id(guarded: System, photo: bytes, samples: Path) -> None:
    images = Path(guarded.settings["KEEP_IMAGES"])
    guarded.predict(photo, **{"X-Request-ID": "kept-once"})
    mine = (images / "kept-once.jpg").read_bytes()
    for _ in range(2):  # each variant
        guarded.predict(next((samples / LEMON).glob("*.jpg")), **{"X-Request-ID": "kept-once"})
    assert (images / "kept-once.jpg").read_bytes() == mine
    assert [path.name for path in images.glob(".*")] == []


def test_a_ticket_is_random_in_the_ledger_and_in_no_log(guarded: System, photo: bytes) -> None:
    answers = [guarded.predict(photo, **{"X-Request-ID": f"ticket-{number}", "X-Ticket": "0" * 32}) for number in "ab"]
    tickets = {answer.headers["X-Ticket"] for answer in answers}
    assert len(tickets) == 2
    assert {guarded.ledger_of(f"ticket-{number}")[0]["ticket"] for number in "ab"} == tickets
    eventually(lambda: '"request_id":"ticket-b"' in guarded.log("gateway"))
    assert not any(ticket in guarded.log(part) for ticket in tickets for part in guarded.processes)
    assert "X-Ticket" not in guarded.predict(b"no photo").headers


def test_the_form_of_the_result_page_carries_the_ticket(guarded: System, photo: bytes) -> None:
    page = guarded.predict(photo, "/result/", **{"X-Request-ID": "by-form"})
    ticket = page.headers["X-Ticket"]
    assert f'name="ticket" value="{ticket}"' in page.text
    form = {"request_id": "by-form", "true_label": LEMON}
    url = f"{guarded.url}/feedback"
    assert requests.post(url, data=form, timeout=TIMEOUT_S).status_code == 403
    assert requests.post(url, data=form | {"ticket": ticket}, timeout=TIMEOUT_S).status_code == 200


def test_replay_and_the_command_go_on_behind_tokens(guarded: System, samples: Path) -> None:
    replayed = guarded.abtest("replay", str(samples / LEMON), "--label-from-folder")
    assert replayed.returncode == 0, replayed.stdout
    assert guarded.abtest("report").returncode in (0, 3)
    assert guarded.abtest("status").returncode == 0
    wrong = guarded.abtest("--token", "wrong", "status")
    assert wrong.returncode == 1
    assert "The token is nobody's" in wrong.stderr


def test_what_is_forgotten_by_the_command(guarded: System, photo: bytes) -> None:
    guarded.predict(photo, **{"X-Request-ID": "to-forget", "X-User-ID": "somebody"})
    person = guarded.ledger_of("to-forget")[0]["person"]
    eventually(lambda: guarded.abtest("forget", "to-forget").returncode == 0)
    assert not (Path(guarded.settings["KEEP_IMAGES"]) / "to-forget.jpg").exists()
    guarded.predict(photo, **{"X-Request-ID": "to-forget-2", "X-User-ID": "somebody"})
    guarded.ledger_of("to-forget-2")

    def forgotten() -> str:
        done = guarded.abtest("forget", "--person", person)
        return done.stdout if done.returncode == 0 else ""

    said = eventually(forgotten)
    assert "Forgotten: 1 request, 0 labels, 1 photo. What was counted stays" in said
    assert guarded.abtest("forget", "to-forget").returncode == 1
    assert guarded.abtest("forget").returncode == 2


def statuses(system: System, number: int, client: str, path: str = "/feedback") -> list[int]:
    """What somebody at ``client``, behind a trusted proxy, is answered to so many requests."""
    with requests.Session() as session:
        session.headers["X-Forwarded-For"] = client
        return [session.post(f"{system.url}{path}", json={}, timeout=TIMEOUT_S).status_code for _ in range(number)]


def test_more_than_one_may_send_is_429(guarded: System) -> None:
    found = statuses(guarded, 200, "203.0.113.7")
    assert set(found) == {422, 429}
    assert found[:100] == [422] * 100
    answer = requests.post(
        f"{guarded.url}/feedback", json={}, headers={"X-Forwarded-For": "203.0.113.7"}, timeout=TIMEOUT_S
    )
    assert answer.status_code == 429
    assert answer.headers["Retry-After"].isdecimal()
    assert answer.json() == {"detail": "More is sent than may be at once. Try again in a moment."}
    # Others are not kept out, and a forged address before the proxy's own word is not believed.
    assert statuses(guarded, 1, "203.0.113.8") == [422]
    assert statuses(guarded, 1, "203.0.113.9, 203.0.113.7") == [429]
    # Half of an IPv6 address is a network of one's own.
    assert 429 in statuses(guarded, 130, "2001:db8:1:2::1")
    assert statuses(guarded, 1, "2001:db8:1:2::ffff") == [429]
    assert statuses(guarded, 1, "2001:db8:1:3::1") == [422]


def test_uploads_at_once_are_bounded(guarded: System, photo: bytes) -> None:
    parts = urlsplit(guarded.url)
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.20\r\nContent-Length: 9\r\n\r\n"
    slow: list[socket.socket] = []

    def status(client: str) -> int:
        return guarded.predict(photo, **{"X-Forwarded-For": client}).status_code

    def too_many() -> bool:
        connection = socket.create_connection((parts.hostname or "", parts.port or 0), TIMEOUT_S)
        connection.sendall(head + b"slow")
        slow.append(connection)
        return status("203.0.113.20") == 429

    try:
        eventually(too_many)
        assert len(slow) >= 8
        assert status("203.0.113.21") == 200
    finally:
        for connection in slow:
            connection.close()
    eventually(lambda: status("203.0.113.20") == 200)
