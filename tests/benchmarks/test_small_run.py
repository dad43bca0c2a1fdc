"""A run in small: one variant of the project, one photo, the engine beside it."""

from pathlib import Path

import requests

from benchmarks.__main__ import _weights
from benchmarks.contest.comparison import CEILING, OURS, Contender, Round, compare, loaded, summary
from benchmarks.contest.contenders import Ceiling, start_variant
from benchmarks.measuring.photos import SIZES, make_photos
from benchmarks.measuring.servers import memory_mb
from tests.system import free_port


def test_custom_is_measured_beside_its_engine(tmp_path: Path, samples: Path) -> None:
    photos = make_photos(samples, SIZES[:1])
    small = tmp_path / "22 KB.jpg"
    small.write_bytes(photos["22 KB"])
    port = free_port()
    with start_variant("app_custom", port, photos["22 KB"], tmp_path) as server:
        weights = _weights("app_custom", port)
        with Ceiling(weights.service) as ceiling:

            def alone(_: str, __: int, seconds: float) -> Round:
                return Round(ceiling.per_second(small, seconds, decode=True))

            contenders = [
                loaded(OURS, lambda: server.pids, server.target, photos),
                Contender(CEILING, lambda: ceiling.pids, alone),
            ]
            found = summary(compare(contenders, "22 KB", 2, rounds=1, seconds=0.5))
        assert requests.get(f"http://127.0.0.1:{port}/readyz", timeout=5).json()["ready"]
        assert memory_mb(server.pids)[0] > 50

    ours = found["systems"][OURS]
    assert ours["per_s"]["median"] > 5
    assert not ours["errors"]
    assert found["share_of_ceiling"]["median"] > 0
