"""The ``abtest`` command against a running system."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from abtest.cli import app
from abtest.client import token_beside
from tests.system import System

Abtest = Callable[..., Result]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system of this module's own."""
    with System(tmp_path_factory.mktemp("abtest")) as started:
        yield started


@pytest.fixture
def abtest(running: System, monkeypatch: pytest.MonkeyPatch) -> Abtest:
    monkeypatch.setenv("DATA_DIR", str(running.place.data))
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
        (["split", "--pair"], "pair of custom and vgg16"),
        (["split", "--pair", "--sample", "20"], "pair of custom and vgg16, both score 20 %"),
        (["split", "--random", "custom=80", "vgg16=20"], "weighted custom=80 vgg16=20, at random"),
        (["split", "round-robin"], "round robin"),
        (["promote", "vgg16"], "weighted custom=0 vgg16=100"),
        (["rollback"], "round robin"),
    ],
)
def test_changes(running: System, abtest: Abtest, arguments: list[str], in_force: str) -> None:
    result = abtest(*arguments)

    assert result.exit_code == 0, result.output
    entry = running.split()["in_force"]
    assert result.stdout == f"In force: {in_force} (epoch {entry['epoch']})\n"
    assert entry["text"] == in_force
    assert running.health()["epoch"] == entry["epoch"]


@pytest.mark.parametrize(
    ("arguments", "sentence", "status"),
    [
        (["split"], "Say which split: round-robin, --pair, or shares such as custom=90 vgg16=10.", 2),
        (["split", "custom"], "'custom' is no share: write custom=90 vgg16=10, or round-robin alone.", 2),
        (["split", "custom=much"], "'custom=much' is no share: write custom=90 vgg16=10, or round-robin alone.", 2),
        (["split", "custom=50", "custom=50"], "custom is named twice.", 2),
        (["split", "custom=50", "vgg16=40"], "The shares add up to 90 percent; they must add up to 100.", 1),
        (["split", "round-robin", "--sticky"], "Sticky needs shares, such as custom=90 vgg16=10 --sticky.", 2),
        (
            ["split", "round-robin", "custom=100"],
            "'round-robin' is no share: write custom=90 vgg16=10, or round-robin",
            2,
        ),
        (["promote", "resnet"], "There is no variant 'resnet'. The variants are custom, vgg16.", 1),
        (["split", "--shadow", "resnet"], "There is no variant 'resnet'. The variants are custom, vgg16.", 1),
    ],
)
def test_a_bad_split_is_refused_and_changes_nothing(
    running: System, abtest: Abtest, arguments: list[str], sentence: str, status: int
) -> None:
    before = running.split()["in_force"]
    result = abtest(*arguments)

    assert result.exit_code == status
    assert sentence in " ".join(result.stderr.replace("│", " ").split())
    assert running.split()["in_force"] == before
    assert running.health()["epoch"] == before["epoch"]


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


def test_changes_need_the_token(running: System, abtest: Abtest, monkeypatch: pytest.MonkeyPatch) -> None:
    before = running.split()["in_force"]
    monkeypatch.setenv("DATA_DIR", "/nowhere")
    for arguments in (["promote", "vgg16"], ["--token", "wrong", "promote", "vgg16"]):
        result = abtest(*arguments)
        assert result.exit_code == 1
        assert "give it by ABTEST_TOKEN or --token." in result.stderr
    assert running.split()["in_force"] == before
    token = (running.place.data / "token").read_text().strip()
    assert abtest("--token", token, "promote", "vgg16").exit_code == 0


def test_the_token_beside_is_for_the_system_beside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ABTEST_URL", "http://nginx")
    assert token_beside("http://localhost:8080") == token_beside("http://nginx/") == "secret"
    assert token_beside("http://elsewhere") == ""
