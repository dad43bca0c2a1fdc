"""A small version of ``make storm``: every fault once or twice, and nothing bent by any of them."""

from pathlib import Path

from storm.__main__ import Sizes, Storm, ledger_volume, prepare, table

SMALL = Sizes(
    variants=2,
    workers=4,
    nginx=1,
    script=1,
    command=1,
    experiment=2,
    changes=6,
    full_s=2,
    locked_s=2,
    stopped_s=2,
    stopped=("worker", "experiment"),
)


def test_a_small_storm_bends_nothing(tmp_path: Path, photo: bytes) -> None:
    system = prepare(tmp_path / "storm")
    with (
        ledger_volume(system),
        system,
        Storm(system, f"sqlite:///{system.place.data}/experiment.db", photo).raging() as storm,
    ):
        storm.rage(SMALL)

    assert storm.reused == 0
    for row in storm.rows:
        assert row.unexplained == 0, row
        assert row.found.lost <= row.found.stated, row
        assert (row.found.doubled, row.found.disagreements) == (0, 0), row
    assert "| a variant killed | 2 | " in table({"SQLite": storm})
