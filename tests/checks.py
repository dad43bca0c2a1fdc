"""``make lint``'s own checks: that nginx takes its configuration, and that the documentation is true and complete."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from itertools import chain
from pathlib import Path

from fastapi.routing import APIRoute

import experiment.settings
import serving.settings
from abtest.cli import app as abtest
from experiment.web import app as experiment_pages
from experiment.web import control
from experiment.web.access import forget, login
from experiment.web.labels import feedback, label_page
from local.parts import ROOT, Place, lay_out
from serving.web import app as variant_pages

__all__ = ["commands_in", "main", "nginx_faults", "page_faults"]

PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("*/*.md")), *sorted(ROOT.glob("deploy/*/*.md"))]
README_LINES = 180


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


def page_faults(page: Path) -> Iterator[str]:
    """Targets and links of one page that lead nowhere, and weights it shows that are not there any more."""
    text, name = page.read_text(), page.relative_to(ROOT)
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in re.findall(r"\bmake ([a-z]+)\b", "\n".join(commands_in(text))):
        if target not in targets:
            yield f"{name}: the Makefile has no target {target}"
    for path in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        if not (page.parent / path).exists():
            yield f"{name}: it links to {path}, which is not there"
    for variant, shown in re.findall(r"│ (\w+) .*starter\.safetensors ([0-9a-f]{12})", text):
        weights = ROOT / f"app_{variant}" / "app" / "artifacts" / "starter.safetensors"
        if not sha256(weights.read_bytes()).hexdigest().startswith(shown):
            yield f"{name}: {variant}'s starter weights are not {shown} any more"


def tree_faults(text: str) -> Iterator[str]:
    """Files in CONTRIBUTING.md's tree that are not there, and folders it leaves out."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    tracked = listed.rstrip("\0").split("\0")
    tree = next(iter(re.findall(r"^```text tree\n(.*?)^```", text, re.MULTILINE | re.DOTALL)), "")
    named = [line.split()[0] for line in tree.splitlines() if line.strip()]
    for name in named:
        if not any(path == name or path.startswith(name.rstrip("/") + "/") for path in tracked):
            yield f"CONTRIBUTING.md: there is no {name}"
    for top in sorted({path.split("/")[0] + ("/" if "/" in path else "") for path in tracked}):
        # People's own variants come and go.
        if not top.startswith((".", "app_")) and top not in named:
            yield f"CONTRIBUTING.md: its tree leaves out {top}"


def copy_faults() -> Iterator[str]:
    """Files of the project that Kustomize takes from its own folder alone, and that are not the same there."""
    for name in ("experiment.toml", "variants/variants.toml"):
        copy = ROOT / "deploy" / "kubernetes" / "base" / Path(name).name
        if copy.read_bytes() != (ROOT / name).read_bytes():
            yield f"{copy.relative_to(ROOT)} is not {name}: copy it there, so that a cluster compares the same"


def settings() -> set[str]:
    """The environment variables that people may set."""
    texts = [(ROOT / name).read_text() for name in ("docker-compose.yml", "nginx/tls.yml", "deploy/swarm/stack.yml")]
    # What ends in _SUM, deploy/swarm/stack finds itself.
    compose = [name for name in re.findall(r"\$\{(\w+)", "".join(texts)) if not name.endswith("_SUM")]
    fields = chain(serving.settings.Settings.model_fields, experiment.settings.Settings.model_fields)
    return {*compose, *(field.upper() for field in fields)}


def routes() -> set[str]:
    """The addresses that people and programs may ask for."""
    routers = [variant_pages.predictions, variant_pages.pages, variant_pages.probes]
    routers += [experiment_pages.pages, feedback.routes, label_page.routes, control.routes]
    routers += [login.routes, forget.routes]
    found = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return {route.path for route in found if route.include_in_schema}


def commands() -> set[str]:
    return {command.name or command.callback.__name__ for command in abtest.registered_commands if command.callback}


def undocumented(texts: str) -> Iterator[str]:
    """Settings, routes and commands that ``texts``, all pages together, do not name."""
    for setting in sorted(settings()):
        if f"`{setting}`" not in texts:
            yield f"the setting {setting} is not documented: docs/operations.md"
    for route in sorted(routes()):
        if not re.search(rf"[` ]{re.escape(route)}[`, ]", texts):
            yield f"the route {route} is not documented: docs/http.md"
    for command in sorted(commands()):
        if not re.search(rf"\babtest {command}\b", texts):
            yield f"the command abtest {command} is not documented"


def main() -> int:
    texts = {page: page.read_text() for page in PAGES}
    faults = [*nginx_faults(), *chain.from_iterable(map(page_faults, PAGES)), *undocumented("\n".join(texts.values()))]
    faults += copy_faults()
    faults += tree_faults(texts[ROOT / "CONTRIBUTING.md"])
    if (lines := len(texts[ROOT / "README.md"].splitlines())) > README_LINES:
        faults.append(f"README.md has {lines} lines; what goes beyond {README_LINES} belongs into docs/")
    print("\n".join(faults) or "nginx takes its configuration; the documentation is true, and leaves nothing out.")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
