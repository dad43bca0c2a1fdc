"""``make lock``: writes the hashes of all that a part installs into its ``requirements.lock``.

Versions are those of constraints.txt. PyTorch's packages are left out: their builds for CPUs come from an index of
their own, which alone knows their hashes, and which ``TORCH_INDEX`` may replace by another. So pip takes those two by
version, and all else by hash.
"""

import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement

__all__ = ["LOCKED", "UNLOCKED", "main", "names", "pins"]

ROOT = Path(__file__).parents[1]
LOCKED = ("serving", "experiment", "traffic", "nginx", "tests")
"""The parts that have a lock: ``requirements.lock`` beside ``requirements.txt``."""
UNLOCKED = frozenset({"torch", "torchvision"})


def names(part: str) -> set[str]:
    """What a part asks for itself, by name as pip compares them."""
    lines = (ROOT / part / "requirements.txt").read_text().splitlines()
    return {_name(Requirement(line)) for line in lines if line and not line.startswith("#")}


def pins(text: str) -> dict[str, str]:
    """The versions in the text of a lock or of constraints.txt, by name."""
    found = (Requirement(line.rstrip(" \\")) for line in text.splitlines() if line[:1].isalnum())
    return {_name(pin): str(pin.specifier).removeprefix("==") for pin in found}


def _name(requirement: Requirement) -> str:
    return requirement.name.lower().replace("_", "-").replace(".", "-")


def _asked(part: str) -> list[str]:
    """What is to be locked: instead of PyTorch's packages, what those need."""
    named = names(part)
    needed = [Requirement(line) for package in sorted(named & UNLOCKED) for line in requires(package) or ()]
    ours = [line for line in needed if _name(line) not in UNLOCKED and "extra" not in str(line.marker)]
    lines = (ROOT / part / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line not in UNLOCKED] + [str(line) for line in ours]


def lock(part: str) -> None:
    """Asks the package index for the hashes. Raises ``CalledProcessError`` where it does not answer."""
    with TemporaryDirectory() as folder:
        asked, left_out = Path(folder, "requirements.in"), Path(folder, "excludes.txt")
        asked.write_text("\n".join(_asked(part)) + "\n")
        left_out.write_text("\n".join(UNLOCKED) + "\n")
        compile_ = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--generate-hashes", "--no-annotate"]
        options = ["--no-header", "--python-version", "3.11", "--constraint", "constraints.txt"]
        options += ["--excludes", str(left_out), "--output-file", f"{part}/requirements.lock"]
        subprocess.run([*compile_, *options, str(asked)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)  # noqa: S603


def main() -> int:
    for part in LOCKED:
        (ROOT / part / "requirements.lock").unlink(missing_ok=True)
        lock(part)
        held = pins((ROOT / part / "requirements.lock").read_text())
        print(f"{part}/requirements.lock: {len(held)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
