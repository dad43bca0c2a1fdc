"""``make audit DATABASE=…``: what is known against the packages that the project installs, without a network.

``DATABASE`` is a copy of a database of advisories in the OSV format (https://ossf.github.io/osv-schema/): the archive
of one ecosystem as OSV.dev publishes it (``all.zip``), or a folder of such JSON files.
"""

import argparse
import json
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from supply.lock import ROOT, pins

__all__ = ["Finding", "advisories", "audit", "main"]


@dataclass(frozen=True, order=True)
class Finding:
    """An advisory that holds for a version that is installed. ``fixed``: the versions that end it, if any do."""

    package: str
    version: str
    advisory: str
    summary: str
    fixed: tuple[str, ...]

    def __str__(self) -> str:
        remedy = f"fixed in {', '.join(self.fixed)}" if self.fixed else "not fixed yet"
        return f"{self.package} {self.version}: {self.advisory} ({remedy}) {self.summary}".rstrip()


def advisories(database: Path) -> Iterator[dict[str, Any]]:
    """Every advisory of a database. Raises ``OSError`` where there is none, ``ValueError`` where it is no database."""
    if database.is_dir():
        for path in sorted(database.rglob("*.json")):
            yield json.loads(path.read_bytes())
        return
    try:
        archive = zipfile.ZipFile(database)
    except zipfile.BadZipFile:
        raise ValueError("it is neither a zip archive nor a folder") from None
    with archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                yield json.loads(archive.read(name))


def audit(installed: dict[str, str], database: Path) -> tuple[int, list[Finding]]:
    """How many advisories were looked at, and those that hold for ``installed`` (versions by name).

    Raises what ``advisories`` does.
    """
    versions = {canonicalize_name(name): version for name, version in installed.items()}
    seen, found = 0, set()
    for advisory in advisories(database):
        seen += 1
        if advisory.get("withdrawn"):
            continue
        for affected in advisory.get("affected", ()):
            package = affected.get("package", {})
            name = canonicalize_name(package.get("name", ""))
            if package.get("ecosystem") == "PyPI" and name in versions and _holds(versions[name], affected):
                fixed = tuple(event["fixed"] for event in _events(affected) if "fixed" in event)
                summary = " ".join(str(advisory.get("summary", "")).split())
                found.add(Finding(str(name), versions[name], str(advisory["id"]), summary, fixed))
    return seen, sorted(found)


def _events(affected: dict[str, Any]) -> list[dict[str, str]]:
    ranges = (each for each in affected.get("ranges", ()) if each.get("type") == "ECOSYSTEM")
    return [event for each in ranges for event in each["events"]]


def _holds(version: str, affected: dict[str, Any]) -> bool:
    """Whether a version is among those affected, as the format says they are to be evaluated."""
    if version in affected.get("versions", ()):
        return True
    ours, holds = Version(version), False
    for event in sorted(_events(affected), key=_when):
        (kind, at) = next(iter(event.items()))
        if kind == "introduced" and ours >= _version(at):
            holds = True
        elif (kind == "fixed" and ours >= _version(at)) or (kind == "last_affected" and ours > _version(at)):
            holds = False
    return holds


def _when(event: dict[str, str]) -> tuple[Version, bool]:
    (kind, at) = next(iter(event.items()))
    return _version(at), kind != "introduced"


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0 where nothing is known, 1 where something is, 2 where the database cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m supply.audit", description="Audits the packages, offline.")
    parser.add_argument("database", type=Path, help="OSV's archive for PyPI (all.zip), or a folder of its JSON files")
    parsed = parser.parse_args(arguments)
    installed = pins((ROOT / "constraints.txt").read_text())
    try:
        seen, found = audit(installed, parsed.database)
    except (OSError, ValueError, KeyError) as error:
        print(f"{parsed.database} is no database of advisories: {error}. Give OSV's all.zip for PyPI.", file=sys.stderr)
        return 2
    if not seen:
        print(f"{parsed.database} holds no advisories. Give OSV's all.zip for PyPI.", file=sys.stderr)
        return 2
    print("\n".join(map(str, found)) or f"Nothing is known against {len(installed)} packages in {seen:,} advisories.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
