"""A new variant: its folder, and its entries in the list of variants and for Compose."""

import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from variants import ListError, Variant, read_listing

__all__ = ["NewcomerError", "list_variant", "make_folder", "service_of"]

_FIRST_PORT = 8011
_SERVICE = """\
  {service}:
    <<: *variant
    build:
      <<: *build
      dockerfile: serving/Dockerfile
      args:
        <<: *args
        FOLDER: {service}
{order}
"""
_ORDER = """\
    depends_on:
      {before}: {{condition: service_healthy}}
"""


class NewcomerError(Exception):
    """Why a variant cannot be added; the message is a sentence that says what to do."""


def service_of(name: str) -> str:
    """The folder, and so the service, of a variant called ``name``."""
    return f"app_{name.replace('-', '_')}"


def make_folder(folder: Path, model: Path, like: Path | None = None) -> list[Path]:
    """Makes ``folder`` around a model's file, or folder, with the code of the variant ``like``; returns its files.

    Raises ``NewcomerError`` where that cannot be, and then leaves nothing behind.
    """
    if folder.exists():
        raise NewcomerError(
            f"{folder.name} is there already. Choose another name; or, to list it as it is, leave out --from."
        )
    if not model.exists():
        raise NewcomerError(f"There is no {model}.")
    if like and not like.is_dir():
        raise NewcomerError(f"There is no folder {like.name} to be like.")
    try:
        artifacts = folder / "artifacts"
        artifacts.mkdir(parents=True)
        for file in _belonging(model):
            target = artifacts / (file.relative_to(model) if model.is_dir() else file.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            # Not its mode: a container runs as somebody else, who has to read it.
            shutil.copyfile(file, target)
        for name in ("model.py", "variant.toml", "requirements.txt") if like else ():
            found = (
                next((path for path in (like / name, like / "app" / name) if path.is_file()), None) if like else None
            )
            if found:
                shutil.copyfile(found, folder / name)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise NewcomerError(f"{folder} cannot be made: {error.strerror}.") from None
    return sorted(path for path in folder.rglob("*") if path.is_file())


def list_variant(listed: Path, compose: Path, name: str) -> Variant:
    """Adds a variant to the list, and a service to Compose's file; returns it.

    Raises ``NewcomerError`` where the name is taken or either file cannot be written; then nothing is added.
    """
    before = listed.read_text(encoding="utf-8")
    try:
        known = read_listing(listed)
        taken = {variant.port for variant in known.variants}
        port = next(port for port in range(_FIRST_PORT, 65536) if port not in taken and _is_free(port))
        variant = Variant(name, service_of(name), port)
        entry = f'\n[[variant]]\nname = "{variant.name}"\nservice = "{variant.service}"\nport = {variant.port}\n'
        added = listed.with_suffix(".new")
        added.write_text(before.rstrip("\n") + "\n" + entry, encoding="utf-8")
        try:
            read_listing(added)
            _add_service(compose, variant.service, known.variants[-1].service)
            listed.write_text(added.read_text(encoding="utf-8"), encoding="utf-8")
        finally:
            added.unlink()
    except ListError as error:
        raise NewcomerError(str(error).replace(f"{listed.stem}.new", listed.name)) from None
    except OSError as error:
        raise NewcomerError(f"{error.filename} cannot be written: {error.strerror}.") from None
    return variant


def _belonging(model: Path) -> Iterator[Path]:
    """The files of a model: all in a folder, or the one and what it refers to beside it."""
    if model.is_dir():
        yield from (path for path in sorted(model.rglob("*")) if path.is_file())
        return
    yield model
    # OpenVINO's weights, and those of an ONNX file that are too large for it.
    for beside in (model.with_suffix(".bin"), Path(f"{model}.data"), Path(f"{model}_data")):
        if model.suffix in (".xml", ".onnx") and beside.is_file():
            yield beside


def _add_service(compose: Path, service: str, before: str) -> None:
    """Adds a service above the experiment's, made anew after ``before``, so that never all variants are at once."""
    text = compose.read_text(encoding="utf-8")
    if re.search(rf"^  {service}:", text, re.MULTILINE):
        return
    place = re.search(r"^  experiment:", text, re.MULTILINE)
    if not place:
        raise NewcomerError(f"{compose.name} has no service experiment, above which {service} would be added.")
    order = _ORDER.format(before=before) if re.search(rf"^  {before}:", text, re.MULTILINE) else ""
    entry = _SERVICE.format(service=service, order=order).rstrip("\n") + "\n\n"
    compose.write_text(text[: place.start()] + entry + text[place.start() :], encoding="utf-8")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
