"""A small version of ``make attack``: all that it does, less of each."""

from pathlib import Path

from attack.__main__ import Sizes, attack
from attack.found import table

SMALL = Sizes(
    quiet_s=2,
    mutations=200,
    crowd=20,
    crowd_s=3,
    contract_s=5,
    whole_uploads=12,
    leavers=5,
    alternations=6,
    labels=20,
    pillow=False,
    large=("png",),
)
# What decides who may do what is the gateway's and the experiment's part.
OTHERS = (
    "quick and slow photos, in turn as the variants are",
    "Wrong response to undeclared method",
    "a stranger's kept photo, and its request id sent again",
    "`/static/..%2f..%2fapp.py`, `/static/%00`, an HTTP/2 preface",
    "requests that nginx itself refuses",
    "redirects with a `Host` of the client's",
    "cross-site JSON sent as text/plain",
)


def test_a_small_attack_gets_nowhere(tmp_path: Path, photo: bytes) -> None:
    found = attack(tmp_path, photo, SMALL)

    assert [sentence for sentence in found.bad if not any(row in sentence for row in OTHERS)] == []
    assert found.unanswered == 0
    assert "| uploads | | " in table(found)
