import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from serving import settings
from serving.settings import Settings


def test_without_any_set() -> None:
    chosen = Settings()

    assert (chosen.engine, chosen.host, chosen.port) == ("openvino", "127.0.0.1", None)
    assert (chosen.queue_size, chosen.max_pixels, chosen.cache_dir) == (16, 50_000_000, Path(".cache"))
    assert 1 <= chosen.threads <= (os.cpu_count() or 1)


def test_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "ENGINE": "torch",
        "HOST": "::1",
        "PORT": "8123",
        "THREADS": "3",
        "QUEUE_SIZE": "0",
        "MAX_PIXELS": "1000",
        "CACHE_DIR": "/somewhere",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)

    chosen = Settings()

    assert {name: str(getattr(chosen, name.lower())) for name in values} == values


@pytest.mark.parametrize(
    "wrong",
    [
        "ENGINE=cuda",
        "PORT=0",
        "PORT=65536",
        "PORT=http",
        "THREADS=0",
        "THREADS=two",
        "QUEUE_SIZE=-1",
        "MAX_PIXELS=0",
        "MAX_PIXELS=abc",
    ],
)
def test_a_value_that_is_none(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, _, value = wrong.partition("=")
    monkeypatch.setenv(name, value)

    with pytest.raises(ValidationError) as caught:
        Settings()

    assert [error["loc"] for error in caught.value.errors()] == [(name.lower(),)]


@pytest.mark.parametrize(
    ("quota", "threads"),
    [
        ("max 100000", 4),
        ("200000 100000", 2),
        ("150000 100000", 1),
        ("50000 100000", 1),
        ("800000 100000", 4),
        ("what is this", 4),
        ("", 4),
    ],
)
def test_as_many_threads_as_a_container_may_use(
    quota: str, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    monkeypatch.setattr(settings, "Path", lambda _: file)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})

    assert Settings().threads == threads


def test_as_many_threads_as_cores_where_there_are_no_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "Path", lambda _: tmp_path / "absent")
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)

    assert Settings().threads == 6
