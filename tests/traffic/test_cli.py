"""The ``abtest`` command against a running system."""

import re
from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from traffic.cli import app

from ..system import System

Abtest = Callable[..., Result]


@pytest.fixture
def abtest(running: System, monkeypatch: pytest.MonkeyPatch) -> Abtest:
    monkeypatch.setenv("STATE_DIR", running.site.state)
    monkeypatch.setenv("ABTEST_URL", running.url)
    monkeypatch.setenv("COLUMNS", "160")
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "in_force"),
    [
        (["split", "custom=90", "vgg16=10"], "weighted custom=90 vgg16=10"),
        (["split", "--shadow", "vgg16", "--sample", "20"], "weighted custom=90 vgg16=10, 20 % shadowed by vgg16"),
        (["split", "custom=80", "vgg16=20", "--sticky"], "sticky custom=80 vgg16=20"),
        (["split", "--sticky", "--shadow", "vgg16"], "sticky custom=80 vgg16=20, 100 % shadowed by vgg16"),
        (["split", "round-robin"], "round robin"),
        (["promote", "vgg16"], "weighted custom=0 vgg16=100"),
        (["rollback"], "round robin"),
    ],
)
def test_changes(running: System, abtest: Abtest, arguments: list[str], in_force: str) -> None:
    result = abtest(*arguments)

    assert result.exit_code == 0, result.output
    split = running.state.current()
    assert result.stdout == f"In force: {in_force} (epoch {split.epoch})\n"
    assert str(split) == in_force
    assert running.health()["epoch"] == split.epoch


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["split"], "Say which split: round-robin, or shares such as custom=90 vgg16=10."),
        (["split", "custom"], "'custom' is no share: write custom=90 vgg16=10, or round-robin alone."),
        (["split", "custom=much"], "'custom=much' is no share: write custom=90 vgg16=10, or round-robin alone."),
        (["split", "custom=50", "custom=50"], "custom is named twice."),
        (["split", "custom=50", "vgg16=40"], "The shares add up to 90 percent; they must add up to 100."),
        (["split", "round-robin", "--sticky"], "Sticky needs shares, such as custom=90 vgg16=10 --sticky."),
        (["split", "round-robin", "custom=100"], "'round-robin' is no share: write custom=90 vgg16=10, or round-robin"),
        (["promote", "resnet"], "There is no variant 'resnet'. The variants are custom, vgg16."),
        (["split", "--shadow", "resnet"], "There is no variant 'resnet'. The variants are custom, vgg16."),
    ],
)
def test_a_bad_split_is_refused_and_changes_nothing(
    running: System, abtest: Abtest, arguments: list[str], sentence: str
) -> None:
    before = running.state.current()
    result = abtest(*arguments)

    assert result.exit_code == 1
    assert sentence in " ".join(result.stderr.split())
    assert running.state.current() == before
    assert running.health()["epoch"] == before.epoch


def test_status(running: System, abtest: Abtest) -> None:
    abtest("split", "custom=75", "vgg16=25")
    result = abtest("status")

    assert result.exit_code == 0
    assert re.search(r"Split: weighted custom=75 vgg16=25 \(epoch \d+, since \d{4}-\d\d-\d\d ", result.stdout)
    assert re.search(r"custom +│ yes +│ 75 % ", result.stdout)
    assert re.search(r"vgg16 +│ yes +│ 25 % .*starter\.safetensors [0-9a-f]{12}", result.stdout)


def test_status_tells_what_is_down(running: System, abtest: Abtest) -> None:
    running.kill("app_vgg16")
    try:
        assert re.search(r"vgg16 +│ no: no answer", abtest("status").stdout)
    finally:
        running.start("app_vgg16")
        running.wait_ready()


def test_no_system_there(abtest: Abtest) -> None:
    result = abtest("--url", "http://127.0.0.1:1", "status")

    assert result.exit_code == 1
    assert "Nothing answers at http://127.0.0.1:1." in result.stderr


def test_no_state_there(abtest: Abtest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIR", "/nowhere")
    result = abtest("promote", "vgg16")

    assert result.exit_code == 1
    assert "No running system keeps its split in /nowhere." in result.stderr
