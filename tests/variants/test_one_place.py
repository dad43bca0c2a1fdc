"""Only the list says which classes there are."""

import re
import subprocess

from local.parts import ROOT

# The list itself, documentation, and what is generated.
_ALLOWED = re.compile(r"variants/variants\.toml|.*\.(md|lock)")
_PARTS = ("abtest", "experiment", "local", "look", "nginx", "serving", "traffic", "variants", "docker-compose.yml")


def test_no_part_knows_a_class_by_heart() -> None:
    listed = subprocess.run(["git", "ls-files", *_PARTS], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = [
        f"{name}: {line.strip()}"
        for name in listed.split()
        if not _ALLOWED.fullmatch(name) and (ROOT / name).is_file()
        for line in (ROOT / name).read_text(errors="replace").splitlines()
        if re.search(r"fruit|apple|grapes|lemon", line, re.IGNORECASE)
    ]

    assert found == []
