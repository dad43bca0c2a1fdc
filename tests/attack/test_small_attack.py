"""A small version of ``make attack``: all that it does, less of each."""

from pathlib import Path

from attack.__main__ import Sizes, attack
from attack.found import table

SMALL = Sizes(
    quiet_s=1,
    ordinary_s=3,
    mutations=200,
    crowd=20,
    crowd_s=3,
    examples=5,
    whole_uploads=12,
    leavers=5,
    alternations=6,
    labels=20,
    pillow=False,
    large=("png",),
)


def test_a_small_attack_gets_nowhere(tmp_path: Path, photo: bytes) -> None:
    found = attack(tmp_path, photo, SMALL)

    assert found.bad == []
    assert found.unanswered == 0
    assert "| uploads | | " in table(found)
