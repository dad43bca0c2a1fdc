"""The token that changes need: made at the first start, kept beside the data, where ``abtest`` finds it."""

import hmac
import secrets
from pathlib import Path

__all__ = ["FILE", "Token"]

FILE = "token"


class Token:
    """The operator's token: ``given``, else the one kept in ``folder``, made where there is none."""

    def __init__(self, folder: Path, given: str = "") -> None:
        """Raises ``OSError`` where none can be kept."""
        self._value = given or _kept(folder / FILE)

    def is_(self, offered: str) -> bool:
        """Whether ``offered`` is the token; takes the same time whatever it is."""
        return hmac.compare_digest(self._value.encode(), offered.encode())


def _kept(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        made = secrets.token_urlsafe(24)
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        new.touch(0o600)
        new.write_text(made + "\n")
        new.replace(path)
        return made
