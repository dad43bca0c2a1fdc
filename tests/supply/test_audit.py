"""What is known against a package is found in a database that lies here, and nothing else is."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from supply.audit import audit, main

INSTALLED = {"Jinja2": "3.1.6", "pillow_heif": "1.8.1", "torch": "2.13.0"}


def advisory(package: str, *events: dict[str, str], versions: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}] if events else []
    affected = {"package": {"ecosystem": "PyPI", "name": package}, "ranges": ranges, "versions": list(versions)}
    return {"id": "PYSEC-2026-1", "summary": "It can be\nhurt.", "affected": [affected], **fields}


def database(folder: Path, *advisories: dict[str, Any]) -> Path:
    for number, each in enumerate(advisories):
        (folder / f"{number}.json").write_text(json.dumps(each))
    return folder


FROM_THE_FIRST = {"introduced": "0"}


@pytest.mark.parametrize(
    ("known", "holds"),
    [
        (advisory("jinja2", FROM_THE_FIRST), True),
        (advisory("jinja2", FROM_THE_FIRST, {"fixed": "3.1.7"}), True),
        (advisory("jinja2", FROM_THE_FIRST, {"fixed": "3.1.6"}), False),
        (advisory("jinja2", FROM_THE_FIRST, {"fixed": "3.1.10"}), True),
        (advisory("jinja2", {"introduced": "3.2"}), False),
        (advisory("jinja2", FROM_THE_FIRST, {"fixed": "2.0"}, {"introduced": "3.1"}, {"fixed": "3.1.7"}), True),
        (advisory("jinja2", {"fixed": "3.0"}, FROM_THE_FIRST), False),
        (advisory("jinja2", FROM_THE_FIRST, {"last_affected": "3.1.6"}), True),
        (advisory("jinja2", FROM_THE_FIRST, {"last_affected": "3.1.5"}), False),
        (advisory("jinja2", versions=("3.1.6",)), True),
        (advisory("jinja2", versions=("3.1.5",)), False),
        (advisory("Pillow-HEIF", FROM_THE_FIRST), True),
        (advisory("django", FROM_THE_FIRST), False),
        (advisory("jinja2", FROM_THE_FIRST, withdrawn="2026-01-01T00:00:00Z"), False),
    ],
)
def test_an_advisory(known: dict[str, Any], holds: bool, tmp_path: Path) -> None:
    seen, found = audit(INSTALLED, database(tmp_path, known))

    assert seen == 1
    assert bool(found) is holds


def test_another_ecosystems_package_of_the_same_name(tmp_path: Path) -> None:
    known = advisory("jinja2", FROM_THE_FIRST)
    known["affected"][0]["package"]["ecosystem"] = "npm"

    assert audit(INSTALLED, database(tmp_path, known)) == (1, [])


def test_what_is_told_of_the_projects_own_packages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = database(tmp_path, advisory("pillow", FROM_THE_FIRST, {"fixed": "999"}))
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(folder / "0.json", "PYSEC-2026-1.json")

    assert main([str(archive)]) == 1
    assert capsys.readouterr().out.endswith(": PYSEC-2026-1 (fixed in 999) It can be hurt.\n")


def test_nothing_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(database(tmp_path, advisory("django", FROM_THE_FIRST)))]) == 0
    assert capsys.readouterr().out.endswith(" packages in 1 advisories.\n")


@pytest.mark.parametrize("content", [None, b"no archive"], ids=["absent", "text"])
def test_a_database_that_is_none(content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if content is not None:
        (tmp_path / "all.zip").write_bytes(content)

    assert main([str(tmp_path / "all.zip")]) == 2
    assert "Give OSV's all.zip for PyPI." in capsys.readouterr().err


def test_an_empty_folder_is_no_database(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 2
