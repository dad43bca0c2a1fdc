"""The folders that people apply."""

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import require
from tests.kubernetes.manifests import FOLDER, Manifests


@pytest.fixture(scope="session")
def applied(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Manifests]:
    """What a cluster gets of the base, of the overlay, and of the one that the README has people write."""
    require("KUBECTL", shutil.which("kubectl") is not None, "kubectl")
    folder = Path(shutil.copytree(FOLDER, tmp_path_factory.mktemp("deploy") / "kubernetes"))
    blocks = r"^```yaml\n# deploy/kubernetes/(\S+)\n(.*?)^```"
    (mine,) = re.findall(blocks, (FOLDER / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    (folder / mine[0]).parent.mkdir()
    (folder / mine[0]).write_text(mine[1])
    return {name: Manifests(folder / name) for name in ("base", "overlays/small", "overlays/mine")}


@pytest.fixture(params=["base", "overlays/small", "overlays/mine"])
def manifests(request: pytest.FixtureRequest, applied: dict[str, Manifests]) -> Manifests:
    return applied[request.param]


@pytest.fixture
def small(applied: dict[str, Manifests]) -> Manifests:
    """The one that has a part of every kind."""
    return applied["overlays/small"]
