"""A running system, over HTTP."""

import getpass
import os
import socket
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import requests

__all__ = ["RefusedError", "System", "default_url", "token_beside"]

_ROOT = Path(__file__).parents[1]
_SECRET = Path("/run/secrets/abtest_token")
# Longer than a change may take to be taken over by every gateway.
_PATIENCE_S = 40.0


class RefusedError(Exception):
    """Why the system did not do what was asked, or could not be asked; the message is a sentence."""


class System:
    """The system at ``url``; changes are made with ``token``."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url.rstrip("/")
        self.token = token
        self._session = requests.Session()
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def get(self, path: str, **query: Any) -> Any:
        """The JSON at ``path``. Raises ``RefusedError`` where there is none."""
        return self._facts("GET", path, params=query)

    def post(self, path: str, fields: dict[str, Any]) -> Any:
        """What the system answers to ``fields``. Raises ``RefusedError`` where it refuses."""
        return self._facts("POST", path, json=fields)

    def health(self) -> Any:
        """What the gateway says, also while no variant is ready."""
        return self._facts("GET", "/healthz", also=(requests.codes.unavailable,))

    def split(self) -> Any:
        """The split in force, what is asked for, and those before."""
        return self.get("/experiment/split")

    def change(self, action: str, **wanted: Any) -> Any:
        """Changes the split against the one in force now; returns the one that is in force then."""
        against = self.split()["in_force"]["epoch"]
        return self.post("/experiment/split", {"action": action, "against": against, "by": _who(), **wanted})

    def _facts(self, method: str, path: str, also: tuple[int, ...] = (), **arguments: Any) -> Any:
        try:
            answer = self._session.request(method, self.url + path, timeout=_PATIENCE_S, **arguments)
        except requests.RequestException:
            raise RefusedError(
                f"Nothing answers at {self.url}. Is the system running? Give its address by --url or ABTEST_URL."
            ) from None
        try:
            facts = answer.json()
        except ValueError:
            raise RefusedError(f"What answers at {self.url} is no A/B testing system.") from None
        if not answer.ok and answer.status_code not in also:
            raise RefusedError(_sentence(facts))
        return facts


def default_url() -> str:
    """Where the system is that runs from this folder; else this machine's port 80."""
    try:
        return (_ROOT / ".run" / "url").read_text().strip()
    except OSError:
        return "http://localhost"


def token_beside(url: str) -> str:
    """The token that the service on this machine made, where ``url`` is on this machine, too; else nothing.

    In a container, ``DATA_DIR`` and ``ABTEST_URL`` say together which service is beside; its token may be a secret.
    """
    parts = urlsplit(url)
    folder = os.environ.get("DATA_DIR", "")
    here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if not here and not (folder and url.rstrip("/") == os.environ.get("ABTEST_URL", "").rstrip("/")):
        return ""
    for path in (_SECRET, Path(folder or _ROOT / ".run" / "data") / "token"):
        try:
            return path.read_text().strip()
        except OSError:
            continue
    return ""


def _sentence(facts: Any) -> str:
    detail = facts.get("detail") if isinstance(facts, dict) else None
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list) and detail:  # what does not fit the form that FastAPI expects
        first = detail[0]
        return f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}."
    return "The system refused, and did not say why."


def _who() -> str:
    """Who asks, for the record; in a container there may be no name for a user's number."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "abtest"
    return f"{user} on {socket.gethostname()}"
