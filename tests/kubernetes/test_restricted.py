"""Pods ask for no right that they do not need."""

import copy
import re
from typing import Any

import pytest

from tests.kubernetes.manifests import Manifests, dockerfile
from tests.kubernetes.profile import violations


def test_pods_satisfy_the_restricted_profile(manifests: Manifests) -> None:
    (namespace,) = manifests.of("Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {name: list(violations(w.pod.spec)) for name, w in manifests.workloads.items()} == {
        name: [] for name in manifests.workloads
    }


@pytest.mark.parametrize(
    ("where", "what", "found"),
    [
        ("pod", {"hostNetwork": True}, "hostNetwork"),
        ("pod", {"securityContext": {"runAsNonRoot": True}}, "follower: seccompProfile"),
        ("pod", {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}, "nginx: runAsNonRoot"),
        ("pod", {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}, "volume host: {'hostPath'}"),
        ("container", {"securityContext": {}}, "follower: capabilities.drop"),
        ("container", {"securityContext": {"privileged": True}}, "follower: privileged"),
        ("container", {"ports": [{"hostPort": 80}]}, "follower: hostPort"),
        ("container", {"livenessProbe": {"tcpSocket": {"host": "10.0.0.1"}}}, "follower: host of a probe"),
    ],
)
def test_what_the_profile_forbids_is_found(small: Manifests, where: str, what: dict[str, Any], found: str) -> None:
    broken = copy.deepcopy(small.workloads["gateway"].pod.spec)
    (broken if where == "pod" else broken["initContainers"][0]).update(what)
    assert found in list(violations(broken))


def test_pods_hold_nothing_that_is_not_theirs(manifests: Manifests) -> None:
    for name, workload in manifests.workloads.items():
        spec = workload.pod.spec
        assert spec["automountServiceAccountToken"] is False, name
        # Else Kubernetes sets EXPERIMENT_PORT, which the service takes for its own.
        assert spec["enableServiceLinks"] is False, name
    for workload, container in manifests.containers:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, workload.name
        assert {"memory", "cpu"} <= set(container["resources"]["requests"]), workload.name
        assert container["resources"]["limits"]["memory"], workload.name


def test_containers_run_as_the_user_of_their_image(manifests: Manifests) -> None:
    ours = 0
    for workload, container in manifests.containers:
        folder = re.search(r"abtest-(\w+)", container["image"])
        if folder is None:
            continue
        user = re.findall(r"^USER (\d+)", dockerfile(folder[1]).read_text(), re.MULTILINE)[-1]
        assert workload.pod.spec["securityContext"]["runAsUser"] == int(user), container["name"]
        ours += 1
    assert ours >= 5
