"""Runs the experiment service: ``python -m experiment``."""

import logging
import sys

import uvicorn
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from experiment.plan import PlanError
from experiment.record.database import DatabaseError
from experiment.service import Service, StartError
from experiment.settings import Settings
from experiment.web.app import create_app

# nginx keeps idle connections for 60 s; were this side the first to close one, a request could meet a closed door.
_KEEP_ALIVE_S = 75


def main() -> None:
    """Runs until it is told to stop."""
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
    logging.getLogger("experiment").setLevel(logging.INFO)
    try:
        settings = Settings()
        service = Service(settings)
    except ValidationError as error:
        sys.exit("\n".join(f"{str(e['loc'][0]).upper()}={e['input']}: {e['msg']}" for e in error.errors()))
    except (StartError, PlanError, DatabaseError) as error:
        sys.exit(str(error))
    except SQLAlchemyError as error:
        sys.exit(f"The database cannot be opened: {str(error).splitlines()[0]}")
    uvicorn.run(
        create_app(service),
        host=settings.host,
        port=settings.experiment_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
