"""Visitors who want more than an answer: to decide, to see, to end."""

import time
from pathlib import Path

import requests

from attack.target import TIMEOUT_S, Target
from tests.serving.photos.hostile import LARGE_BUT_GOOD, ODD_BUT_WHOLE
from tests.system import eventually

__all__ = ["alternation", "strangers_photos", "stuffing"]


def alternation(target: Target) -> tuple[str, bool]:
    """Slow photos for the candidate and quick ones for the control, as long as turns are strict."""
    slow, candidate = LARGE_BUT_GOOD["avif"](), target.facts()["experiment"]["candidate"]
    last = candidate
    for _ in range(target.alternations):
        files = {"file": ("a.jpg", target.photo if last == candidate else slow)}
        answer = requests.post(f"{target.system.url}/predict", files=files, timeout=TIMEOUT_S)
        target.uploads.sent += 1
        target.uploads.statuses[answer.status_code] += 1
        last = answer.headers.get("X-Variant", last)
        guardrail = target.facts()["guardrail"]
        if guardrail["latched"]:
            return guardrail["reason"], False
    return f"the experiment goes on after {target.alternations}", True


def stuffing(target: Target) -> tuple[str, bool]:
    """Predictions and labels of people that there are not, all of them for the candidate."""
    before, candidate = target.facts()["verdict"]["outcome"], target.facts()["experiment"]["candidate"]
    taken = 0
    for person in range(target.labels):
        with requests.Session() as session:
            session.headers["X-User-ID"] = f"nobody-{person}"
            # The same photo would count once.
            photo = target.photo + person.to_bytes(2)
            answer = session.post(f"{target.system.url}/predict", files={"file": photo}, timeout=TIMEOUT_S)
            target.uploads.sent += 1
            target.uploads.statuses[answer.status_code] += 1
            if answer.status_code != 200:
                continue
            said = answer.json()
            right = answer.headers["X-Variant"] == candidate
            label = {"request_id": said["request_id"], "true_label": said["likely_class"] if right else "other"}
            label |= {"ticket": answer.headers["X-Ticket"]} if "X-Ticket" in answer.headers else {}
            given = session.post(f"{target.system.url}/feedback", json=label, timeout=TIMEOUT_S)
            taken += given.status_code == 201 and bool(given.json().get("counts", True))
    time.sleep(1)
    after = target.facts()["verdict"]["outcome"]
    return f"{taken} of {target.labels} labels counted; verdict {before} before, {after} after", before == after


def strangers_photos(target: Target) -> tuple[str, bool]:
    """Somebody else's photo: seen, and overwritten by one that says it is the same request."""
    url, name = target.system.url, {"X-Request-ID": "a-strangers"}
    requests.post(f"{url}/predict", files={"file": target.photo}, headers=name, timeout=TIMEOUT_S)
    kept = Path(target.system.settings["KEEP_IMAGES"], "a-strangers.jpg")
    eventually(kept.exists)
    before = kept.read_bytes()
    other = ODD_BUT_WHOLE["png of one pixel"]()
    requests.post(f"{url}/predict", files={"file": other}, headers=name, timeout=TIMEOUT_S)
    target.uploads.sent += 2
    target.uploads.statuses[200] += 2
    seen = [
        path
        for path in ("/experiment/label/photo/a-strangers", "/experiment/label")
        if requests.get(url + path, timeout=TIMEOUT_S, allow_redirects=False).status_code == 200
    ]
    replaced = kept.read_bytes() != before
    words = ["seen at " + " and ".join(seen) if seen else "not to be seen", "replaced" if replaced else "as it was"]
    return ", ".join(words), not seen and not replaced
