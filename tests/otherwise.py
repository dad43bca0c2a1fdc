"""Tests on a copy of the project with a third variant and other classes: ``python -m tests.otherwise tests/gateway``.

What it finds is a name that some part, or some test, knows by heart.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from local.parts import ROOT
from variants import CLASSES

OTHER_CLASSES = ("crack/chip", "Kratzer groß", "キズ")


def copy_project(folder: Path) -> None:
    """Whatever git knows, and files that are to be known by it."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for command in (["git", "init", "--quiet"], ["git", "add", "--all"]):
        subprocess.run(command, cwd=folder, check=True)


def rename_classes(folder: Path) -> None:
    """In the list, and the folders of the photos."""
    listed = folder / "variants" / "variants.toml"
    text = listed.read_text(encoding="utf-8")
    for old, new in zip(CLASSES, OTHER_CLASSES, strict=True):
        text = text.replace(f'"{old}"', f'"{new}"')
        (folder / "sample_data" / new).parent.mkdir(parents=True, exist_ok=True)
        (folder / "sample_data" / old).rename(folder / "sample_data" / new)
    listed.write_text(text, encoding="utf-8")


def add_third(folder: Path, environment: dict[str, str]) -> None:
    """As people do."""
    weights = folder / "app_custom" / "app" / "artifacts" / "starter.safetensors"
    add = [sys.executable, "-m", "abtest", "new", "third", "--from", str(weights), "--like", "app_custom"]
    subprocess.run(add, cwd=folder, env=environment, check=True)


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="ab-otherwise-") as name:
        folder = Path(name)
        shared = ROOT.parent / "shared"
        environment = {"FRUITS": str(shared / "fruits"), **os.environ, "CACHE_DIR": str(ROOT / ".cache")}
        copy_project(folder)
        rename_classes(folder)
        add_third(folder, environment)
        tests = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        return subprocess.run(tests, cwd=folder, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
