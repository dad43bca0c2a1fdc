"""What the command suggests, as it is typed where the system runs; and how it looks in narrow windows."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from abtest import lifecycle, show
from abtest.cli import app
from abtest.client import RefusedError, System
from abtest.typed import in_full, in_lines, prefix
from variants import VARIANTS

DOCKER = "docker-compose exec -T experiment abtest"


@pytest.mark.parametrize(
    ("text", "command", "url", "expected"),
    [
        ("abtest promote vgg16", ".venv/bin/abtest", "", ".venv/bin/abtest promote vgg16"),
        ("at random (abtest split --pair)", DOCKER, "", f"at random ({DOCKER} split --pair)"),
        ("abtest rollback", "abtest", "http://far", "abtest --url http://far rollback"),
        (
            "abtest replay sample_data --label-from-folder",
            DOCKER,
            "",
            'docker-compose run --rm -T -v "$PWD/sample_data:/photos:ro" experiment abtest replay /photos '
            "--label-from-folder",
        ),
        ("by abtest on d5a816", DOCKER, "", "by abtest on d5a816"),
    ],
)
def test_a_suggestion_is_typed_as_it_stands(text: str, command: str, url: str, expected: str) -> None:
    assert in_full(text, command, url) == expected


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (
            "The split changed meanwhile: epoch 4, by ann. Look at `abtest status`, then ask again.",
            f"`{DOCKER} status`,",
        ),
        ("there is no variant mine any more. Ask for another by `abtest split`.", f"`{DOCKER} split`."),
        (
            "Left out: 3 labels, since photos went to the variants in turn (abtest split --pair).",
            f"({DOCKER} split --pair).",
        ),
        ("Correct what is wrong, then: abtest new mine", f"{DOCKER} new mine"),
        (
            "Run docker-compose up --build --detach --no-deps app_mine. It waits.",
            "up --build --detach --no-deps app_mine.",
        ),
    ],
)
@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_no_line_ends_within_a_command(text: str, command: str, width: int) -> None:
    lines = in_lines(text, width, DOCKER).splitlines()
    assert " ".join(lines) == in_full(text, DOCKER)
    assert any(command in line for line in lines)
    assert all(len(line) <= width for line in lines if "docker-compose" not in line)


@pytest.mark.parametrize("columns", ["40", "80"])
def test_what_is_suggested_can_be_copied_in_one_piece(
    columns: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("COLUMNS", columns), ("ABTEST_COMMAND", DOCKER)):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(lifecycle, "_RUN", tmp_path)

    def refuse(*_: object) -> None:
        raise RefusedError("The split changed meanwhile: epoch 12, by ann. Look at `abtest status`, then ask again.")

    monkeypatch.setattr(System, "split", refuse)
    erased = {"requests": 1, "labels": 0, "photos": 0, "stays": "Counts stay.", "person": "0123456789"}
    monkeypatch.setattr(System, "post", lambda *_: erased)
    for words, command in (
        (("redeploy", VARIANTS[-1].name), f"docker-compose up --build --detach --no-deps {VARIANTS[-1].service}"),
        (("promote", "vgg16"), f"{DOCKER} status"),
        (("forget", "order-66"), f"{DOCKER} forget --person 0123456789"),
    ):
        said = CliRunner().invoke(app, words).output
        assert command in said, said


def test_the_command_is_called_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ABTEST_COMMAND", raising=False)
    monkeypatch.setattr("sys.argv", [".venv/bin/abtest", "report"])
    assert prefix() == ".venv/bin/abtest"
    monkeypatch.setattr("sys.argv", ["/project/abtest/__main__.py"])
    assert prefix() == "python -m abtest"
    monkeypatch.setenv("ABTEST_COMMAND", DOCKER)
    assert prefix() == DOCKER


@pytest.mark.parametrize("width", [50, 80, 120, 200])
@pytest.mark.parametrize(
    "rows",
    [[("custom", "yes", "90 %", "starter.safetensors 22ee5dd96fd9"), ("vgg16", "no: loading its model", "", "–")]],
)
def test_a_table_shows_all_it_holds_in_any_window(width: int, rows: Sequence[Sequence[str]]) -> None:
    console = Console(width=width, record=True, color_system=None)
    show.table(console, ("variant", "ready", "wanted", "weights"), rows)
    said = console.export_text()
    assert all(cell in said for row in rows for cell in row)
    assert "…" not in said
    assert max(map(len, said.splitlines())) <= width


def test_a_report_says_by_its_status_that_it_is_invalid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(System, "get", lambda *_: {"verdict": {"outcome": "invalid"}})
    assert CliRunner().invoke(app, ["report", "--json"]).exit_code == 3
    monkeypatch.setattr(System, "get", lambda *_: {"verdict": {"outcome": "keep_going"}})
    assert CliRunner().invoke(app, ["report", "--json"]).exit_code == 0
    assert "3 the comparison is invalid" in " ".join(CliRunner().invoke(app, ["--help"]).output.split())


def test_what_never_comes_is_not_infinite() -> None:
    few = ["simulate", "0.9", "0.9", "--runs", "20", "--labels", "100"]
    assert "inf" not in CliRunner().invoke(app, few).output
    assert json.loads(CliRunner().invoke(app, [*few, "--json"]).output)["days"] == [None, None, None]


def test_a_shell_completes_the_names_of_variants() -> None:
    asked = {"_ABTEST_COMPLETE": "complete_bash", "COMP_CWORD": "2"}
    for words, said in (("abtest promote v", "vgg16"), ("abtest split c", "custom=")):
        completed = CliRunner().invoke(app, [], env=asked | {"COMP_WORDS": words}, prog_name="abtest")
        assert completed.output.split() == [said]
