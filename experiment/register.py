"""Which experiment runs: the plan in the file against those in the database."""

import time

from sqlalchemy import insert

from experiment.database import Database, experiments
from experiment.intake import Experiments
from experiment.plan import Plan

__all__ = ["take_up"]


def take_up(database: Database, plan: Plan) -> bool:
    """Goes on with the latest experiment where it follows ``plan``, else begins a new one; whether it did."""
    with database.write() as connection:
        known = Experiments.load(connection)
        if len(known) and known.latest.plan.digest == plan.digest:
            return False
        values = {"plan": plan.model_dump_json(), "digest": plan.digest, "started": time.time()}
        connection.execute(insert(experiments).values(values))
        return True
