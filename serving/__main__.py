"""Serves the variant of one folder, or tries it: ``python -m serving app_mine``."""

import argparse
import logging
import socket
import sys
from contextlib import suppress
from pathlib import Path

import uvicorn
from pydantic import ValidationError

from variants import VARIANTS

from .check import check
from .models.errors import ModelError
from .models.files.folder import Folder
from .settings import Settings
from .variant import listed
from .web.answers import WholeAnswers
from .web.app import create_app

# nginx keeps idle connections for 60 s; were this side the first to close one, a request could meet a closed door.
_KEEP_ALIVE_S = 75
_DRAIN_S = 30


def main(arguments: list[str] | None = None) -> None:
    """Runs until it is told to stop, then answers what it has begun."""
    given = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
    logging.getLogger("serving").setLevel(logging.INFO)
    # Classes and file names are any text; what a terminal cannot show must not end anything.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if given[:1] == ["check"]:
        _check(given[1:])
        return
    parser = argparse.ArgumentParser(prog="python -m serving", description="Serves one variant.", epilog=_EPILOG)
    parser.add_argument("folder", type=Path, help="the variant's folder")
    parser.add_argument("--prepare", action="store_true", help="only fill the cache, so that a later start is quick")
    parsed = parser.parse_args(given)
    folder, settings = _opened(parsed.folder)
    app = create_app(folder, settings)
    service = folder.path.name
    if parsed.prepare:
        if (settings.device or folder.spec.device) == "cuda":
            return  # what is served from a GPU is not converted
        try:
            app.state.served.open()
        except (ModelError, OSError) as error:
            sys.exit(f"{service}: {error}")
        return
    port = settings.port or next((variant.port for variant in VARIANTS if variant.service == service), None)
    if port is None:
        sys.exit(f"{service} is not in variants/variants.toml, which gives its port: add it, or set PORT.")
    # Before the model is loaded, which takes a while, and in clearer words than Uvicorn's.
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, port))
    except OSError as error:
        sys.exit(f"{service} cannot listen on {settings.host}, port {port}: {error.strerror}.")
    config = uvicorn.Config(
        app,
        http=WholeAnswers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_DRAIN_S,
    )
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
    if app.state.served.predictor is None:
        sys.exit(1)


_EPILOG = "python -m serving check FOLDER PHOTO… tries a variant on photos, and serves nothing."


def _check(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m serving check", description="Says what a variant's model takes, and what it makes of photos."
    )
    parser.add_argument("folder", type=Path, help="the variant's folder")
    parser.add_argument("photos", type=Path, nargs="*", metavar="PHOTO", help="what to try it on")
    parsed = parser.parse_args(arguments)
    folder, settings = _opened(parsed.folder)
    try:
        for line in check(folder, settings, parsed.photos):
            print(line, flush=True)
    except (ModelError, OSError) as error:
        sys.exit(f"{folder.path.name}: {error}")


def _opened(path: Path) -> tuple[Folder, Settings]:
    """The folder under its name in the list, and the settings; where one of them cannot be, the end."""
    path = path.resolve()
    try:
        return listed(path), Settings()
    except ModelError as error:
        sys.exit(f"{path.name}: {error}")
    except ValidationError as error:
        wrong = (f"{path.name}: {str(e['loc'][0]).upper()}={e['input']}: {e['msg']}" for e in error.errors())
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    main()
