"""Sends a folder of photos through the running system, and says what they really showed."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import requests

from variants import clean, one_of

__all__ = ["Photo", "ReplayError", "Summary", "find_photos", "replay"]

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"}
_TRIES = 8
_LONGEST_WAIT_S = 5.0
# So long a photo's second score is waited for; where it has not come by then, none is any more.
_SCORED_WITHIN_S = 10.0
_LOOK_S = 0.05


class ReplayError(Exception):
    """Why nothing can be replayed; the message says what to change."""


@dataclass(frozen=True)
class Photo:
    """A file, and what it shows where that is known."""

    path: Path
    label: str | None = None


@dataclass
class Summary:
    """What came of a replay, by the variant that answered; ``faults`` by what went wrong.

    ``repeated`` labels, of photos that had one, are among those ``labelled`` and count no more; ``new_right`` is of the
    others. Of these a variant ``shadowed`` what it scored unseen. ``unscored`` photos were still to be scored by
    another variant when nobody waited any more. ``meanwhile`` tells of changes that nobody asked for.
    """

    answered: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    labelled: Counter[str] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)
    unscored: Counter[str] = field(default_factory=Counter)
    new_right: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    shadowed: Counter[str] = field(default_factory=Counter)
    shadow_right: Counter[str] = field(default_factory=Counter)
    meanwhile: list[str] = field(default_factory=list)

    @property
    def new(self) -> int:
        """Labels of photos that had none."""
        return self.labelled.total() - self.repeated.total()


def find_photos(folder: Path, labels: Sequence[str] | None = None) -> list[Photo]:
    """All photos below ``folder``, labelled by the folders they lie in where ``labels`` says which there are.

    Raises ``ReplayError`` where there are no photos, or a folder's name is no label.
    """
    if not folder.is_dir():
        raise ReplayError(f"{folder} is no folder.")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    if not paths:
        raise ReplayError(f"There are no photos in {folder}.")
    if labels is None:
        return [Photo(path) for path in paths]
    return [Photo(path, _label_of(path, labels)) for path in paths]


def _label_of(path: Path, labels: Sequence[str]) -> str:
    """The label that the folder of a photo names; one with a slash in it is a folder in a folder."""
    parts = [clean(part) for part in path.absolute().parent.parts]
    for depth in range(max(label.count("/") for label in labels) + 1, 0, -1):
        if (label := "/".join(parts[-depth:])) in labels:
            return label
    raise ReplayError(
        f"{path} lies in a folder named {path.parent.name!r}, which is no label; there are {one_of(labels)}."
    )


def replay(
    url: str,
    photos: Iterable[Photo],
    concurrency: int,
    done: Callable[[], None] = lambda: None,
    token: str = "",
    scores: int = 1,
) -> Summary:
    """Posts each photo, and its label where it has one. Where the system is overloaded, it waits and tries again.

    With the operator's ``token`` the labels are blind ones: the folders were there before any answer. Where ``scores``
    variants score every photo, a labelled one is on its way until all have: a slow one that nobody sees would be left
    behind otherwise, and the label would be no pair.
    """
    summary = Summary()
    lagging = threading.Event()
    lock = threading.Lock()
    local = threading.local()

    def one(photo: Photo) -> None:
        if not hasattr(local, "session"):
            local.session = requests.Session()
            if token:
                local.session.headers["Authorization"] = f"Bearer {token}"
        found = _one(local.session, url, photo, 1 if lagging.is_set() else scores)
        if found.unscored:
            lagging.set()
        with lock:
            for name in ("answered", "right", "labelled", "repeated", "new_right", "unscored", "faults"):
                getattr(summary, name).update(getattr(found, name))
            done()

    with ThreadPoolExecutor(concurrency) as pool:
        for _ in pool.map(one, photos):
            pass
    return summary


def _one(session: requests.Session, url: str, photo: Photo, scores: int) -> Summary:
    found = Summary()
    try:
        files = {"file": (photo.path.name, photo.path.read_bytes())}
        answer = _persist(lambda: session.post(f"{url}/predict", files=files, timeout=60))
        if answer.status_code != requests.codes.ok:
            found.faults[_fault("prediction", answer)] += 1
            return found
        prediction = answer.json()
        variant = prediction["variant"]
        found.answered[variant] += 1
        if photo.label is None:
            return found
        label: dict[str, object] = {"request_id": prediction["request_id"], "true_label": photo.label}
        if ticket := answer.headers.get("X-Ticket"):
            label["ticket"] = ticket
        if "Authorization" in session.headers:
            label["blind"] = True

        def give() -> requests.Response:
            return _persist(lambda: session.post(f"{url}/feedback", json=label, timeout=60))

        taken = last = give()
        if taken.status_code not in (requests.codes.ok, requests.codes.created):
            found.faults[_fault("feedback", taken)] += 1
            return found
        until = time.monotonic() + _SCORED_WITHIN_S
        while last.ok and 0 < len(last.json().get("scored_by", ())) < scores:
            if time.monotonic() > until:
                found.unscored[variant] += 1
                break
            time.sleep(_LOOK_S)
            last = give()
        right, new = prediction["likely_class"] == photo.label, taken.json().get("counts", True)
        found.labelled[variant] += 1
        found.repeated[variant] += not new
        found.right[variant] += right
        found.new_right[variant] += right and new
    except requests.RequestException:
        found.faults[f"no answer from {url}"] += 1
    except OSError as error:
        found.faults[f"{photo.path.name}: {error.strerror}"] += 1
    return found


def _persist(send: Callable[[], requests.Response]) -> requests.Response:
    """The answer, once it is none of "try again in a moment"."""
    for attempt in range(_TRIES):
        answer = send()
        if answer.status_code not in (requests.codes.unavailable, requests.codes.too_many_requests):
            break
        given = answer.headers.get("Retry-After", "")
        wait = float(given) if given.isdecimal() else 0.25 * 2**attempt
        if attempt < _TRIES - 1:
            time.sleep(min(wait, _LONGEST_WAIT_S))
    return answer


def _fault(what: str, answer: requests.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = "no reason given"
    return f"{what} refused ({answer.status_code}): {detail}"
