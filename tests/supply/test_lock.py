"""The locks hold what the parts ask for, at the versions of constraints.txt, by hash."""

from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement

from local.parts import ROOT
from supply.lock import LOCKED, UNLOCKED, names, pins

AGAIN = "run make lock"


def lock(part: str) -> str:
    return (ROOT / part / "requirements.lock").read_text()


@pytest.mark.parametrize("part", LOCKED)
def test_a_lock_holds_versions_and_hashes_of_all_that_is_needed(part: str) -> None:
    held, versions = pins(lock(part)), pins((ROOT / "constraints.txt").read_text())

    assert {name: versions.get(name) for name in held} == held, AGAIN
    assert names(part) - UNLOCKED <= set(held), AGAIN
    needed = {
        Requirement(line).name.lower().replace("_", "-").replace(".", "-")
        for name in held
        for line in requires(name) or ()
        if (marker := Requirement(line).marker) is None or marker.evaluate({"extra": ""})
    }
    assert needed - UNLOCKED <= set(held), AGAIN


@pytest.mark.parametrize("part", LOCKED)
def test_every_package_has_hashes(part: str) -> None:
    entries = lock(part).replace("\\\n", " ").splitlines()

    assert entries
    assert all("--hash=sha256:" in entry for entry in entries if not entry.startswith("#"))


def test_what_images_install_is_locked() -> None:
    """But for PyTorch, whose build for CPUs comes from an index of its own, and what a variant's folder adds."""
    for dockerfile in ROOT.glob("*/Dockerfile"):
        text = dockerfile.read_text().replace("\\\n", " ")
        for command in (part for line in text.splitlines() for part in line.split("&&") if "pip install" in part):
            of_a_variants_own = "app_" in command or "$FOLDER" in command
            assert "--require-hashes" in command or command.split()[-1] == "torch" or of_a_variants_own, command
