"""How the list of variants is written down: ``variants.toml``, read and checked."""

import os
import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["OTHER", "ListError", "Listing", "Variant", "clean", "one_of", "read_listing"]

OTHER = "other"
"""The label of a photo that shows none of the classes; no class may be called so."""

_FEWEST_CLASSES, _MOST_CLASSES = 2, 1000
# The columns of the database.
_LONGEST_CLASS = 64
_LONGEST_TITLE = 100
# Of names in nginx's configuration, of its files, and of hosts and folders.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_SERVICE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
# Categories of characters that nobody sees and that break lines: controls, surrogates, separators.
_UNSEEN = {"Cc", "Cs", "Zl", "Zp"}
_SHOWN = 12


class ListError(ValueError):
    """A list of variants that cannot be; the message is one line that says what to change."""


@dataclass(frozen=True)
class Variant:
    """One deployed model: the name people use, the service (folder and host name) that runs it, and its port."""

    name: str
    service: str
    port: int


@dataclass(frozen=True)
class Listing:
    """What a photo can be, in the order of the models' outputs, who is asked, and the pages' title."""

    classes: tuple[str, ...]
    variants: tuple[Variant, ...]
    title: str


def read_listing(path: Path) -> Listing:
    """The list in ``path``; raises ``ListError`` where there is none or it does not hold together."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ListError(f"{path} cannot be read ({error.strerror}): it lists the variants and the classes.") from None
    except UnicodeDecodeError:
        raise ListError(f"{path.name} is not UTF-8: save it as such.") from None
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ListError(f"{path.name}: {error}") from None
    try:
        return _listing(written)
    except ListError as error:
        raise ListError(f"{path.name}: {error}") from None


def clean(text: str) -> str:
    """``text`` as classes are compared: the same letters may be written in several ways (Unicode's NFC)."""
    return unicodedata.normalize("NFC", text).strip()


def one_of(names: Iterable[str]) -> str:
    """The names for a sentence; of many, the first ones and how many there are."""
    listed = list(names)
    if len(listed) <= _SHOWN + 1:
        return ", ".join(listed)
    return f"{', '.join(listed[:_SHOWN])} … ({len(listed):,} in all)"


def _listing(written: dict[str, Any]) -> Listing:
    for key in written:
        if key not in ("title", "classes", "variant"):
            raise ListError(f"there is no setting {key!r}; there are title, classes and [[variant]].")
    title = written.get("title", "What is it?")
    if type(title) is not str or not title.strip() or len(title) > _LONGEST_TITLE or _unseen(title):
        raise ListError(f'title must be a line of 1 to {_LONGEST_TITLE} characters, such as title = "What is it?".')
    return Listing(_classes(written.get("classes")), _variants(written.get("variant")), title.strip())


def _classes(written: Any) -> tuple[str, ...]:
    if type(written) is not list or not all(type(name) is str for name in written):
        raise ListError('classes must be a list of texts, such as classes = ["ripe", "unripe"].')
    classes = [clean(name) for name in written]
    if not _FEWEST_CLASSES <= len(classes) <= _MOST_CLASSES:
        most = f"{_FEWEST_CLASSES} to {_MOST_CLASSES:,}"
        raise ListError(f"there are {len(classes):,} classes; {most} can be told apart.")
    for name in classes:
        if not name:
            raise ListError("a class has no name.")
        if _unseen(name):
            raise ListError(f"the class {name!r} holds a character that cannot be shown; leave it out.")
        if len(name) > _LONGEST_CLASS:
            raise ListError(f"the class {name!r} has {len(name)} characters; at most {_LONGEST_CLASS} can be kept.")
        if name.casefold() == OTHER:
            raise ListError(f"no class may be called {name!r}: that is the label of a photo that shows none of them.")
    if twice := _twice(classes):
        raise ListError(f"the class {twice!r} is there twice.")
    return tuple(classes)


def _variants(written: Any) -> tuple[Variant, ...]:
    if type(written) is not list or not written or not all(type(entry) is dict for entry in written):
        raise ListError("there is no variant; each is an entry [[variant]] with name, service and port.")
    # Where another copy on this machine has the ports that are listed, make run moves all of them up.
    shift = int(os.environ.get("PORT_SHIFT") or 0)
    variants = []
    for number, entry in enumerate(written, 1):
        what = f"variant {entry.get('name', number)!r}"
        for key in ("name", "service", "port"):
            if key not in entry:
                raise ListError(f"{what} has no {key}.")
        for key in entry:
            if key not in ("name", "service", "port"):
                raise ListError(f"{what}: there is no setting {key!r}; there are name, service and port.")
        name, service, port = entry["name"], entry["service"], entry["port"]
        if type(name) is not str or not _NAME.fullmatch(name):
            raise ListError(f"{what}: a name is 1 to 32 letters, digits, - and _ without accents.")
        if type(service) is not str or not _SERVICE.fullmatch(service):
            raise ListError(f"{what}: a service is named after its folder: letters, digits and _, such as app_mine.")
        if type(port) is not int or not 0 < port < 65536:
            raise ListError(f"{what}: {port!r} is no port.")
        variants.append(Variant(name, service, port + shift))
    for key in ("name", "service", "port"):
        # nginx and hosts do not tell capitals from small letters.
        if twice := _twice(str(getattr(variant, key)).lower() for variant in variants):
            raise ListError(f"two variants have the same {key}, {twice}; each needs its own.")
    return tuple(variants)


def _unseen(text: str) -> bool:
    return any(unicodedata.category(character) in _UNSEEN for character in text)


def _twice(values: Iterable[str]) -> str | None:
    return next((value for value, times in Counter(values).items() if times > 1), None)
