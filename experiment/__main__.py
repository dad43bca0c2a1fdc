"""Runs the experiment service: ``python -m experiment``."""

import logging
import sys
from contextlib import suppress
from socket import socket
from types import FrameType

import uvicorn
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from experiment.plan import PlanError
from experiment.record.database import DatabaseError
from experiment.service import Service, StartError
from experiment.settings import Settings, wrong
from experiment.web.app import create_app

# nginx keeps idle connections for 60 s; were this side the first to close one, a request could meet a closed door.
_KEEP_ALIVE_S = 75
_GRACE_S = 1


class _Server(uvicorn.Server):
    """Ends within 2 s, though gateways and changes may be waiting."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if self.should_exit and self.started:
            # Told to end meanwhile, Uvicorn would leave without telling the service.
            await self.shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._service.leave()
        super().handle_exit(sig, frame)


def main() -> None:
    """Runs until it is told to stop."""
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
    logging.getLogger("experiment").setLevel(logging.INFO)
    try:
        settings = Settings()
        service = Service(settings)
    except ValidationError as error:
        sys.exit(wrong(error))
    except (StartError, PlanError, DatabaseError) as error:
        sys.exit(str(error))
    except SQLAlchemyError as error:
        sys.exit(f"The database cannot be opened: {str(error).splitlines()[0]}")
    config = uvicorn.Config(
        create_app(service),
        host=settings.host,
        port=settings.experiment_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = _Server(config, service)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(3)


if __name__ == "__main__":
    main()
