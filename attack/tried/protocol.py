"""Requests that are not what a browser or a well-behaved program sends."""

import requests

from attack.target import TIMEOUT_S, Target
from variants import OTHER

__all__ = ["bare_pages", "cross_site", "foreign_host", "wrong_words"]


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
        answer = requests.get(target.system.url + path, headers=headers, timeout=TIMEOUT_S, allow_redirects=False)
        led += [path] * ("evil.example" in answer.headers.get("Location", ""))
    return (f"led astray at {', '.join(led)}" if led else "nowhere led astray"), not led


def cross_site(target: Target) -> tuple[str, bool]:
    answer = target.system.predict(target.photo)
    label = f'{{"request_id": "{answer.headers["X-Request-ID"]}", "true_label": "{OTHER}"}}'
    headers = {"Content-Type": "text/plain", "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    status = requests.post(f"{target.system.url}/feedback", label, headers=headers, timeout=TIMEOUT_S).status_code
    return str(status), status in (400, 403, 415, 422)
