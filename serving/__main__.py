"""Serves the variant of one folder: ``python -m serving app_vgg16``."""

import argparse
import logging
import socket
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import uvicorn
from pydantic import ValidationError

from variants import VARIANTS

from .settings import Settings
from .weights import WeightsError

# nginx keeps idle connections for 60 s; were this side the first to close one, a request could meet a closed door.
_KEEP_ALIVE_S = 75
_DRAIN_S = 30


def main(arguments: list[str] | None = None) -> None:
    """Runs until it is told to stop, then answers what it has begun."""
    parser = argparse.ArgumentParser(prog="python -m serving", description="Serves one variant.")
    parser.add_argument("folder", choices=[variant.service for variant in VARIANTS])
    parser.add_argument("--prepare", action="store_true", help="only fill the cache, so that a later start is quick")
    parsed = parser.parse_args(arguments)
    folder: str = parsed.folder
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
    logging.getLogger("serving").setLevel(logging.INFO)
    try:
        app = import_module(f"{folder}.app.main").app
    except ValidationError as error:
        wrong = (f"{folder}: {str(e['loc'][0]).upper()}={e['input']}: {e['msg']}" for e in error.errors())
        sys.exit("\n".join(wrong))
    settings: Settings = app.state.served.settings
    if parsed.prepare:
        try:
            app.state.served.open()
        except (WeightsError, OSError) as error:
            sys.exit(f"{folder}: {error}")
        return
    port = settings.port or next(variant.port for variant in VARIANTS if variant.service == folder)
    # Before the model is loaded, which takes a while, and in clearer words than Uvicorn's.
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, port))
    except OSError as error:
        sys.exit(f"{folder} cannot listen on {settings.host}, port {port}: {error.strerror}.")
    config = uvicorn.Config(
        app,
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


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    main()
