"""Tests on a copy of the project with a third variant and other classes: ``python -m tests.otherwise tests/gateway``.

What it finds is a name that some part, or some test, knows by heart. Tests marked ``given_classes`` are left out: they
are about photos that the given weights name by their class.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from itertools import chain
from pathlib import Path

from local.parts import ROOT
from variants import CLASSES, read_listing

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
    """In the list, the folders of the photos, and the commands and answers that the documentation shows."""
    texts = [folder / "variants" / "variants.toml", folder / "README.md", *(folder / "docs").glob("*.md")]
    for old, new in zip(CLASSES, OTHER_CLASSES, strict=True):
        for text in texts:
            said = text.read_text(encoding="utf-8")
            said = said.replace(f'"{old}"', f'"{new}"').replace(f"sample_data/{old}/", f"sample_data/{new}/")
            text.write_text(said, encoding="utf-8")
        (folder / "sample_data" / new).parent.mkdir(parents=True, exist_ok=True)
        (folder / "sample_data" / old).rename(folder / "sample_data" / new)


def add_third(folder: Path, environment: dict[str, str]) -> None:
    """As people do."""
    weights = folder / "app_custom" / "app" / "artifacts" / "starter.safetensors"
    add = [sys.executable, "-m", "abtest", "new", "third", "--from", str(weights), "--like", "app_custom"]
    subprocess.run(add, cwd=folder, env=environment, check=True)


def deploy_third(folder: Path) -> None:
    """As deploy/kubernetes/README.md says."""
    listed = folder / "variants" / "variants.toml"
    kubernetes = folder / "deploy" / "kubernetes"
    base = kubernetes / "base"
    known = {variant.name: variant for variant in read_listing(listed).variants}
    like = (base / "app-vgg16.yaml").read_text().replace(str(known["vgg16"].port), str(known["third"].port))
    (base / "app-third.yaml").write_text(like.replace("vgg16", "third"))
    shutil.copy(listed, base)
    for text in (
        base / "kustomization.yaml",
        kubernetes / "overlays/small/kustomization.yaml",
        kubernetes / "README.md",
    ):
        lines = text.read_text().splitlines(keepends=True)
        naming = re.compile(r"  - (app-vgg16\.yaml|\{name: abtest-app_vgg16, .*)\n")
        more = ((line, line.replace("vgg16", "third")) if naming.fullmatch(line) else (line,) for line in lines)
        text.write_text("".join(chain.from_iterable(more)))


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="ab-otherwise-") as name:
        folder = Path(name)
        # In containers others read it.
        folder.chmod(0o755)
        environment = {**os.environ, "CACHE_DIR": str(ROOT / ".cache")}
        copy_project(folder)
        rename_classes(folder)
        add_third(folder, environment)
        deploy_third(folder)
        (ROOT / ".cache").mkdir(exist_ok=True)
        (folder / ".cache").symlink_to(ROOT / ".cache")  # what has been converted before
        tests = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "not given_classes", *arguments]
        with subprocess.Popen(tests, cwd=folder, env=environment) as running:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest, which ends what it has started
        return running.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
