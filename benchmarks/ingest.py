"""How fast the ledger is taken in, and how long a report takes: ``python -m benchmarks.ingest [PREDICTIONS]``.

``DATABASE_URL`` chooses the database; without it, a SQLite file in a temporary folder. Half of the predictions have a
shadow, and 2000 have a label.
"""

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from experiment.plan import read_plan
from experiment.record.database import Database
from experiment.record.experiments import Experiments, take_up
from experiment.record.follower import Follower
from experiment.record.labels import Label, give_label
from experiment.report.facts import make_report
from local.parts import ROOT
from traffic.split import make_split
from variants import CLASSES, VARIANTS

_LABELS = 2000


def lines(predictions: int) -> Iterator[tuple[str, str]]:
    """Request ids and the lines of the ledger that go with them."""
    dice = random.Random(0)
    names = [variant.name for variant in VARIANTS[:2]]
    start = time.time()
    for number in range(predictions):
        request_id = f"{dice.getrandbits(128):032x}"
        ts = datetime.fromtimestamp(start + number / 1e4, UTC).isoformat(timespec="milliseconds")
        text = ""
        for place, by in ((1, "shadow"), (0, "round_robin")) if dice.random() < 0.5 else ((0, "round_robin"),):
            entry = {
                "ts": ts.replace("+00:00", "Z"),
                "request_id": request_id,
                "epoch": 1,
                "variant": names[(number + place) % 2],
                "by": by,
                "status": 200,
                "predicted_class": dice.choice(CLASSES),
                "probability": 0.987654,
                "image_sha256": "0" * 64,
                "upstream_time_s": round(dice.lognormvariate(-3.5, 0.5), 3),
                "upstream_addr": "127.0.0.1:8009",
            }
            text += json.dumps(entry, separators=(",", ":")) + "\n"
        yield request_id, text


def main() -> None:
    """Prints what was measured."""
    predictions = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        database = Database(os.environ.get("DATABASE_URL") or f"sqlite:///{folder}/experiment.db")
        with database.write() as connection:
            take_up(connection, read_plan(ROOT / "experiment.toml"))
        request_ids, count = [], 0
        with Path(folder, "ledger.jsonl").open("w") as ledger:
            for request_id, text in lines(predictions):
                request_ids.append(request_id)
                count += text.count("\n")
                ledger.write(text)
        wall, cpu = time.perf_counter(), time.process_time()
        Follower(Path(folder), database).catch_up()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(f"{count:,} lines of {predictions:,} predictions: {count / wall:,.0f} a second, {wall:.1f} s", end=" ")
        print(f"({count / cpu:,.0f} a second of processor time)")
        began = time.perf_counter()
        labelled = request_ids[:: max(1, predictions // _LABELS)]
        for request_id in labelled:
            give_label(database, request_id, Label(CLASSES[0], "blind"))
        print(f"a label: {(time.perf_counter() - began) / len(labelled) * 1000:.1f} ms")
        split = make_split("round_robin", {}, [variant.name for variant in VARIANTS])
        times = []
        for _ in range(5):
            began = time.perf_counter()
            with database.read() as connection:
                known = Experiments.load(connection)
                make_report(connection, known.latest, known, {1: split}, split)
            times.append(time.perf_counter() - began)
        print(f"the report: {sorted(times)[2] * 1000:.0f} ms (slowest of 5: {max(times) * 1000:.0f} ms)")
        database.close()


if __name__ == "__main__":
    main()
