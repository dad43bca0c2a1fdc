"""The pods run, with the rights that the manifests leave them: real images, as Podman plays them."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest
import requests

from local.parts import ROOT
from tests.conftest import require
from tests.kubernetes.manifests import Manifests, dockerfile
from tests.kubernetes.podman import Podman, pods
from tests.system import eventually
from variants import VARIANTS

NAMES = [variant.name for variant in VARIANTS]
SECRETS = {
    ("database", "url"): "postgresql+psycopg://abtest:secret@postgres/abtest",
    ("database", "password"): "secret",
    ("operator", "token"): "an-operator-s-token",
}


@pytest.fixture(scope="module")
def podman(applied: dict[str, Manifests], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """All pods of the small overlay, once they answer."""
    for needed in ("podman", "docker"):
        require(needed.upper(), shutil.which(needed) is not None, needed)
    small = applied["overlays/small"]
    images = sorted({container["image"] for _, container in small.containers})
    for image in images:
        part = image.rpartition(":")[0].rpartition("abtest-")[2]
        if part != "postgres":
            build = ["docker", "build", "--quiet", "--file", str(dockerfile(part)), "--build-arg", f"FOLDER={part}"]
            build += ["--tag", image, "."]
            subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folder = tmp_path_factory.mktemp("podman")
    with Podman(folder) as podman:
        podman.take(images)
        podman.play(pods(small, SECRETS, folder / "volumes"))
        url = f"http://{podman.address('gateways')}:8080"
        eventually(lambda: _all_ready(url), within_s=240)
        yield podman


def _all_ready(url: str) -> bool:
    health = requests.get(f"{url}/healthz", timeout=5).json()
    return all(state["ready"] for state in health["variants"].values()) and health["epoch"] > 0


def test_the_system_runs_in_pods_without_rights(podman: Podman, applied: dict[str, Manifests], photo: bytes) -> None:
    url = f"http://{podman.address('gateways')}:8080"
    answers = [requests.post(f"{url}/predict", files={"file": photo}, timeout=60) for _ in range(10 * len(NAMES))]
    served = [answer.headers.get("X-Variant", str(answer.status_code)) for answer in answers]
    assert Counter(served) == dict.fromkeys(NAMES, 10)
    assert all(first != second for first, second in pairwise(served))

    changed = podman.execute("experiment", "experiment", "abtest", "split", "custom=90", "vgg16=10")
    assert "In force: weighted custom=90 vgg16=10" in changed

    # Over the ledger, the follower and PostgreSQL.
    operator = {"Authorization": f"Bearer {SECRETS['operator', 'token']}"}
    eventually(
        lambda: (
            requests.get(f"{url}/experiment.json", headers=operator, timeout=10).json()["traffic"]["assigned"]
            == dict.fromkeys(NAMES, 10)
        )
    )

    for workload, container in applied["overlays/small"].containers:
        pod = {"gateway": "gateways"}.get(workload.name, workload.name)
        user = workload.pod.spec["securityContext"]["runAsUser"]
        assert podman.execute(pod, container["name"], "id", "-u").split()[-1] == str(user)
        assert "Read-only file system" in podman.execute(pod, container["name"], "touch", "/made-here")
        assert "CapEff:\t0000000000000000" in podman.execute(pod, container["name"], "cat", "/proc/self/status")
