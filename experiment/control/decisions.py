"""The record of what was decided, with the weights and the figures of that moment."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from experiment.control.splits import Entry
from experiment.record.database import decisions, weights

__all__ = ["Circumstances", "decisions_of", "note_change", "note_event", "note_weights", "unnoted", "weights_of"]

Weights = Mapping[str, Mapping[str, str]]


def unnoted(connection: Connection, history: list[Entry]) -> list[Entry]:
    """Those splits that came into force and of which the record has no figures yet."""
    noted = set(connection.execute(select(decisions.c.epoch)).scalars())
    return [entry for entry in history if entry.standing == "in_force" and entry.epoch not in noted]


@dataclass(frozen=True)
class Circumstances:
    """What held when something was decided: the experiment's number, the weights, the figures."""

    experiment: int
    weights: Weights
    figures: Mapping[str, Any]


def note_change(connection: Connection, entry: Entry, circumstances: Circumstances) -> None:
    """Records that a split came into force."""
    _note(
        connection,
        circumstances,
        ts=entry.ts,
        epoch=entry.epoch,
        split=str(entry.split),
        action=entry.action,
        reason=entry.reason,
    )


def note_event(connection: Connection, action: str, reason: str, circumstances: Circumstances) -> None:
    """Records what happened now and was no change of the split."""
    _note(connection, circumstances, ts=time.time(), epoch=0, split="", action=action, reason=reason)


def note_weights(connection: Connection, experiment: int, running: Weights) -> list[str]:
    """Records which weights each variant runs on; returns the variants that run on others than before."""
    before = weights_of(connection, experiment)
    changed = []
    for variant, file in running.items():
        known = [row["sha256"] for row in before.get(variant, [])]
        if file["sha256"] in known:
            continue
        connection.execute(
            insert(weights).values(
                experiment=experiment, variant=variant, sha256=file["sha256"], file=file["file"], since=time.time()
            )
        )
        if known:
            changed.append(variant)
    return changed


def weights_of(connection: Connection, experiment: int) -> dict[str, list[dict[str, Any]]]:
    """The weights that each variant ran on during an experiment, the first first."""
    found: dict[str, list[dict[str, Any]]] = {}
    chosen = select(weights).where(weights.c.experiment == experiment).order_by(weights.c.since)
    for row in connection.execute(chosen):
        found.setdefault(row.variant, []).append({"file": row.file, "sha256": row.sha256, "since": row.since})
    return found


def decisions_of(connection: Connection, most: int = 100) -> list[dict[str, Any]]:
    """The latest decisions, the newest first."""
    chosen = select(decisions).order_by(decisions.c.ts.desc(), decisions.c.id.desc()).limit(most)
    return [
        {
            "ts": row.ts,
            "experiment": row.experiment,
            "action": row.action,
            "reason": row.reason,
            "epoch": row.epoch or None,
            "split": row.split,
            "weights": json.loads(row.weights),
            "figures": json.loads(row.figures),
        }
        for row in connection.execute(chosen)
    ]


def _note(connection: Connection, circumstances: Circumstances, **values: Any) -> None:
    beside = {
        "experiment": circumstances.experiment,
        "weights": json.dumps(circumstances.weights),
        "figures": json.dumps(circumstances.figures),
    }
    connection.execute(insert(decisions).values(**values, **beside))
