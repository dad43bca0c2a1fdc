"""The split in force and those before it, in one folder that nginx's side reads."""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import requests

from variants import VARIANTS, Variant

from .render import render_split
from .site import Site
from .split import Split, SplitError, make_split

__all__ = ["Change", "State"]

_ANSWER_S = 15.0
# nginx tells its old workers to take no more 0.1 s after it started the new ones.
_HAND_OVER_S = 0.2


@dataclass(frozen=True)
class Change:
    """One split that came into force: when, by which command, why, and which earlier epoch it brought back, if any."""

    ts: str
    split: Split
    action: str
    reason: str = ""
    restores: int | None = None


class State:
    """The folder ``state``: ``split.json`` and ``history.jsonl`` for people, ``next.conf`` and ``answer`` for nginx."""

    def __init__(self, folder: Path, variants: Sequence[Variant] = VARIANTS) -> None:
        self._folder = folder
        self._variants = variants

    def current(self) -> Split:
        """The split in force; round robin where none was ever asked for."""
        try:
            return Split.from_json(json.loads((self._folder / "split.json").read_text()))
        except FileNotFoundError:
            return self._round_robin()

    def history(self) -> list[Change]:
        """Every change, the oldest first."""
        try:
            lines = (self._folder / "history.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        entries = [json.loads(line) for line in lines]
        return [
            Change(e["ts"], Split.from_json(e["split"]), e["action"], e.get("reason", ""), e.get("restores"))
            for e in entries
        ]

    def change(self, split: Split, action: str, reason: str = "") -> Split:
        """Puts ``split`` in force after the current one and returns it with its epoch.

        Raises ``SplitError`` where nginx refuses it or does not answer; then nothing has changed.
        """
        with self._locked():
            return self._change(split, action, reason)

    def roll_back(self, reason: str = "") -> Split:
        """Puts the split before the current one in force again; once more goes back one further.

        Raises ``SplitError`` where there is none before, or where nginx does not take it.
        """
        with self._locked():
            splits = {change.split.epoch: change for change in self.history()}
            epoch = self.current().epoch
            while epoch in splits and splits[epoch].restores is not None:
                epoch = splits[epoch].restores or 0
            before = [known for known in splits if known < epoch]
            if before:
                split = splits[max(before)].split
            elif epoch > 1:
                split = self._round_robin()
            else:
                raise SplitError("There is no split before this one.")
            return self._change(split, "rollback", reason, restores=split.epoch)

    def _round_robin(self) -> Split:
        return make_split("round_robin", {}, [variant.name for variant in self._variants])

    def _change(self, split: Split, action: str, reason: str, restores: int | None = None) -> Split:
        split = replace(split, epoch=self.current().epoch + 1)
        self._hand_over(split)
        entry = {
            "ts": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "action": action,
            "reason": reason,
            "restores": restores,
            "split": split.as_json(),
        }
        with (self._folder / "history.jsonl").open("a") as history:
            history.write(json.dumps(entry) + "\n")
        _write(self._folder / "split.json", json.dumps(split.as_json(), indent=2) + "\n")
        return split

    def _hand_over(self, split: Split) -> None:
        answer = self._folder / "answer"
        asked = self._folder / "next.conf"
        answer.unlink(missing_ok=True)
        site = Site(**json.loads((self._folder / "site.json").read_text()))
        _write(asked, render_split(split, site, self._variants))
        deadline = time.monotonic() + _ANSWER_S
        while not answer.exists():
            if time.monotonic() > deadline:
                asked.unlink(missing_ok=True)
                raise SplitError("nginx did not answer, so nothing was changed. Is it running?")
            time.sleep(0.02)
        said = answer.read_text().strip()
        if said != "ok":
            raise SplitError(f"nginx refuses this split, so nothing was changed: {said}")
        _await_epoch(site.url, split.epoch)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not (self._folder / "site.json").exists():
            raise SplitError(
                f"No running system keeps its split in {self._folder}. Run this where nginx runs: with Docker, "
                "docker-compose exec experiment abtest …; otherwise set STATE_DIR to its state folder."
            )
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _await_epoch(url: str, epoch: int) -> None:
    """Waits until nginx's new workers answer, moments after it took the split, and its old ones take no more."""
    deadline = time.monotonic() + _ANSWER_S
    while time.monotonic() < deadline:
        with suppress(requests.RequestException, ValueError):
            # A connection of its own each time: the old workers go on with those they have.
            answer = requests.get(f"{url}/healthz", headers={"Connection": "close"}, timeout=2)
            if answer.json()["epoch"] == epoch:
                break
        time.sleep(0.02)
    time.sleep(_HAND_OVER_S)


def _write(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(text)
    new.replace(path)
