"""Photos that control and candidate do not agree on: those kept to be labelled, and those that have a label."""

from pathlib import Path

from sqlalchemy import Connection, or_, select

from experiment.record.counting import Request
from experiment.record.database import requests
from experiment.record.experiments import Experiment, Experiments
from experiment.record.labels import Given

__all__ = ["disputed", "labelled"]

_MOST = 5000
_MOST_SHOWN = 60


def disputed(connection: Connection, photos: Path) -> list[str]:
    """Requests of the experiment that runs whose photo is there, divides the two, and has no label that counts."""
    known = Experiments.load(connection)
    compared = [known.latest.plan.control, known.latest.plan.candidate]
    there = {path.stem for path in photos.glob("[!.]*.jpg")}
    chosen = (
        select(requests.c.request_id)
        .where(
            requests.c.disagree,
            or_(requests.c.label.is_(None), requests.c.left_out == Given.VISITOR.value),
            requests.c.experiment == known.latest.id,
            requests.c.shadow.in_(compared),
            requests.c.assigned.in_(compared),
        )
        .order_by(requests.c.ts.desc())
        .limit(_MOST)
    )
    return [request_id for request_id in connection.execute(chosen).scalars() if request_id in there]


def labelled(connection: Connection, experiment: Experiment) -> list[Request]:
    """Labelled requests of ``experiment`` whose photo divides the two variants, those labelled last first."""
    compared = [experiment.plan.control, experiment.plan.candidate]
    chosen = (
        select(requests)
        .where(
            requests.c.disagree,
            requests.c.label.is_not(None),
            requests.c.experiment == experiment.id,
            requests.c.shadow.in_(compared),
            requests.c.assigned.in_(compared),
        )
        .order_by(requests.c.labelled.desc())
        .limit(_MOST_SHOWN)
    )
    return [Request(**row._mapping) for row in connection.execute(chosen)]
