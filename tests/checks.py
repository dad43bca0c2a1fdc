"""``make lint``'s own checks: that nginx takes its configuration, and that the README tells the truth."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from local.parts import ROOT, Place, lay_out

__all__ = ["commands_in", "main", "nginx_faults", "readme_faults"]


def nginx_faults() -> Iterator[str]:
    """What nginx finds wrong with the containers' configuration."""
    with tempfile.TemporaryDirectory(prefix="ab-") as folder:
        place = Place("127.0.0.1:8079", f"{folder}/run", Path(folder), experiment_port=8010)
        lay_out(place)
        # Whatever a container's resolver is, this machine has none to offer.
        containers = {"HOSTS": "names", "RESOLVER": "127.0.0.1", "OWN_PORTS": "yes", "FIRST_WAIT_S": "0"}
        start = ["sh", str(ROOT / "nginx" / "gateway.sh"), "first"]
        test = subprocess.run(
            start, env={**os.environ, **place.gateway, **containers}, check=False, capture_output=True, text=True
        )
        if test.returncode:
            yield f"nginx: {test.stdout} {test.stderr.strip()}"


def commands_in(text: str) -> list[str]:
    """The commands of every ``sh`` block of a Markdown text, comments and line continuations resolved."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [command for line in lines if (command := re.sub(r"\s+#.*|^#.*", "", line).strip())]


def readme_faults(text: str) -> Iterator[str]:
    """Files in the README's tree that are not there, folders it leaves out, targets and links that lead nowhere."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    tree = next(iter(re.findall(r"^```text tree\n(.*?)^```", text, re.MULTILINE | re.DOTALL)), "")
    named = [line.split()[0] for line in tree.splitlines() if line.strip()]
    for name in named:
        if not any(path == name or path.startswith(name.rstrip("/") + "/") for path in tracked):
            yield f"README.md: there is no {name}"
    for top in sorted({path.split("/")[0] + ("/" if "/" in path else "") for path in tracked}):
        if not top.startswith(".") and top not in named:
            yield f"README.md: its tree leaves out {top}"
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in re.findall(r"\bmake ([a-z]+)\b", "\n".join(commands_in(text))):
        if target not in targets:
            yield f"README.md: the Makefile has no target {target}"
    for path in re.findall(r"\]\(([^)#:]+)\)", text):
        if not (ROOT / path).exists():
            yield f"README.md: it links to {path}, which is not there"


def main() -> int:
    faults = [*nginx_faults(), *readme_faults((ROOT / "README.md").read_text())]
    print("\n".join(faults) or "nginx takes its configuration; README.md's tree, targets and links are true.")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
