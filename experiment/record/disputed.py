"""Photos that control and candidate do not agree on, kept to be labelled."""

from pathlib import Path

from sqlalchemy import Connection, or_, select

from experiment.record.database import requests
from experiment.record.experiments import Experiments
from experiment.record.labels import Given

__all__ = ["disputed"]

_MOST = 5000


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
