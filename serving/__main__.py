"""Serves the variant of one folder: ``python -m serving app_vgg16``."""

import argparse
import logging
import sys
from importlib import import_module
from pathlib import Path

import uvicorn
from pydantic import ValidationError

from variants import VARIANTS

from .settings import Settings

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
        app.state.served.open()
        return
    port = settings.port or next(variant.port for variant in VARIANTS if variant.service == folder)
    uvicorn.run(
        app,
        host=settings.host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_DRAIN_S,
    )


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    main()
