import math
from collections.abc import Callable

import pytest

from benchmarks.measuring.load import Load, Target, alternate, ask, load
from tests.benchmarks.measuring.conftest import Script, Told

Start = Callable[[Script], Told]


def test_counts_answers_on_kept_connections(told: Start) -> None:
    server = told(lambda _: (200, {}))

    seen = load(server.target, b"photo", connections=2, seconds=0.3, warm_up_s=0.1)

    assert seen.answers == pytest.approx(len(seen.latencies_s), abs=2)
    assert seen.per_second == seen.answers / 0.3
    assert seen.answers > 10
    assert not seen.errors
    assert server.connections == 2
    assert 0 < seen.client_cpu_s < 0.4


def test_sends_a_photo_as_a_form_does(told: Start) -> None:
    server = told(lambda _: (200, {}))

    assert ask(server.target, b"\xff\xd8 photo") == 200

    (body,) = server.bodies
    assert b'name="file"; filename="photo.jpg"\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8 photo\r\n--' in body


def test_a_large_photo_arrives_whole(told: Start) -> None:
    server = told(lambda _: (200, {}))

    assert ask(server.target, bytes(8_000_000)) == 200

    assert len(server.bodies[0]) > 8_000_000


def test_obeys_retry_after_and_counts_a_refusal(told: Start) -> None:
    server = told(lambda number: (503, {"Retry-After": "1"}) if number == 0 else (200, {}))

    seen = load(server.target, b"photo", connections=1, seconds=0.5, warm_up_s=0)

    assert seen.rejected == 1
    assert seen.answers == 0
    assert len(server.bodies) == 1


@pytest.mark.parametrize("status", [500, 503], ids=["failed", "503 without Retry-After"])
def test_all_else_is_an_error(told: Start, status: int) -> None:
    server = told(lambda _: (status, {}))

    seen = load(server.target, b"photo", connections=1, seconds=0.1, warm_up_s=0)

    assert seen.errors[str(status)] > 0
    assert seen.rejected == seen.answers == 0


def test_a_connection_that_the_server_closes_is_opened_anew(told: Start) -> None:
    server = told(lambda _: (200, {"Connection": "close"}))

    seen = load(server.target, b"photo", connections=1, seconds=0.2, warm_up_s=0)

    assert seen.answers > 2
    assert not seen.errors


def test_no_server_is_an_error_and_no_crash() -> None:
    nowhere = Target("http://127.0.0.1:9/predict")

    assert load(nowhere, b"photo", connections=1, seconds=0.2, warm_up_s=0).errors["ConnectionRefusedError"]
    assert ask(nowhere, b"photo") == 0


def test_percentiles() -> None:
    seen = Load(1.0, latencies_s=[number / 100 for number in range(101)])

    assert seen.percentile_s(50) == pytest.approx(0.5)
    assert seen.percentile_s(99) == pytest.approx(0.99)
    assert math.isnan(Load(1.0, latencies_s=[0.1]).percentile_s(99))


def test_targets_are_asked_in_turn(told: Start) -> None:
    one, other = told(lambda _: (200, {})), told(lambda _: (200, {}))

    latencies = alternate([one.target, other.target], b"photo", 5)

    assert [len(each) for each in latencies] == [5, 5]
    assert len(one.bodies) == len(other.bodies) == 5


def test_alternating_with_a_target_that_fails_says_so(told: Start) -> None:
    with pytest.raises(RuntimeError, match="answered 500"):
        alternate([told(lambda _: (500, {})).target], b"photo", 1)
