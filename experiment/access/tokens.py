"""Tokens, which say that somebody is more than a visitor, and the sessions that a browser gets for one."""

import hashlib
import hmac
import secrets
import time
from pathlib import Path

from sqlalchemy import delete, insert, select

from experiment.access.rules import Role
from experiment.record.database import Database, sessions, tokens

__all__ = ["FILE", "SESSION_S", "Tokens"]

FILE = "token"
SESSION_S = 12 * 3600.0
"""So long a browser stays logged in."""


class Tokens:
    """All tokens: one for each role that ``issue`` made, and the operator's first one.

    That is ``given``, or else lies in ``folder`` for ``abtest`` to find, made where there is none. A token is 192
    random bits, so that a plain SHA-256 of it tells nobody anything: that is all the database has.
    """

    def __init__(self, database: Database, folder: Path, given: str = "") -> None:
        """Raises ``OSError`` where none can be kept."""
        self._database = database
        self._first = _digest(given or _kept(folder / FILE))

    def role_of(self, token: str) -> Role | None:
        """Whose ``token`` it is; None where it is nobody's. Raises ``SQLAlchemyError``."""
        return self._role_of_digest(_digest(token))

    def issue(self, role: Role) -> str:
        """A new token for ``role``, told this once; the one before, and who logged in by it, is nobody any more."""
        token = secrets.token_urlsafe(24)
        values = {"role": role.name.lower(), "digest": _digest(token), "made": time.time()}
        with self._database.write() as connection:
            connection.execute(delete(tokens).where(tokens.c.role == values["role"]))
            connection.execute(insert(tokens).values(values))
        return token

    def open_session(self, token: str) -> str | None:
        """What a browser shows from now on in place of ``token``; None for one that is nobody's."""
        if self.role_of(token) is None:
            return None
        session, now = secrets.token_urlsafe(24), time.time()
        values = {"digest": _digest(session), "token": _digest(token), "ends": now + SESSION_S}
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.ends < now))
            connection.execute(insert(sessions).values(values))
        return session

    def role_of_session(self, session: str) -> Role | None:
        """Whose session it is; None where it has ended, or its token was replaced."""
        chosen = select(sessions.c.token).where(sessions.c.digest == _digest(session), sessions.c.ends >= time.time())
        with self._database.read() as connection:
            token = connection.execute(chosen).scalar()
        return self._role_of_digest(token) if token else None

    def close_session(self, session: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.digest == _digest(session)))

    def _role_of_digest(self, digest: str) -> Role | None:
        with self._database.read() as connection:
            known = [(row.digest, Role[row.role.upper()]) for row in connection.execute(select(tokens))]
        # All of them, whichever it is: how long this takes tells nothing.
        found = [role for there, role in [(self._first, Role.OPERATOR), *known] if hmac.compare_digest(there, digest)]
        return max(found, default=None)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


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
