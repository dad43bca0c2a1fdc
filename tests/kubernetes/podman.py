"""The pods of the manifests as Podman plays them: it knows what a pod is and may do, but no cluster."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from tests.kubernetes.manifests import Manifests, Workload
from tests.system import free_port

__all__ = ["Podman", "pods"]

_DOMAIN = "dns.podman"
_KEPT = ("name", "image", "command", "envFrom", "securityContext", "volumeMounts")

# Podman raises limits, which it may not where it is itself confined.
_CONF = """
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[network]
network_backend = "netavark"
"""


def pods(manifests: Manifests, secrets: Mapping[tuple[str, str], str], folder: Path) -> list[dict[str, Any]]:
    """A pod of each workload, under the name of the Service that finds it, and the files and settings of all.

    ``secrets`` are values by name and key; volumes are folders in ``folder``.
    """
    found = manifests.workloads.values()
    made = [_pod(workload, _host(manifests, workload), secrets, folder) for workload in found]
    return [*manifests.of("ConfigMap").values(), *made]


def _host(manifests: Manifests, workload: Workload) -> str:
    """The name by which other pods ask for this one: of a headless Service, where there is one."""
    services = {name: found["spec"] for name, found in manifests.of("Service").items()}
    leading = [name for name, s in services.items() if manifests.selected({"matchLabels": s["selector"]}) == [workload]]
    return min(leading, key=lambda name: services[name].get("clusterIP") != "None")


def _pod(workload: Workload, host: str, secrets: Mapping[tuple[str, str], str], folder: Path) -> dict[str, Any]:
    """Without what Podman does not know: probes of named ports, hooks, and sidecars that begin before the others."""
    claims = workload.spec.get("volumeClaimTemplates", [])
    volumes = [*workload.pod.spec.get("volumes", []), *(claim["metadata"] for claim in claims)]
    containers = [
        {what: value for what, value in container.items() if what in _KEPT}
        | {"env": [_setting(setting, host, secrets) for setting in container.get("env", [])]}
        for container in workload.pod.containers
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": host, "labels": dict(workload.pod.labels)},
        "spec": {
            "securityContext": workload.pod.spec["securityContext"],
            "containers": containers,
            "volumes": [volume if "configMap" in volume else _folder(folder / host, volume) for volume in volumes],
        },
    }


def _setting(setting: dict[str, Any], host: str, secrets: Mapping[tuple[str, str], str]) -> dict[str, str]:
    """With what a cluster would put in."""
    name, source = setting["name"], setting.get("valueFrom", {})
    if "fieldRef" in source:
        return {"name": name, "value": host}
    if "secretKeyRef" in source:
        return {"name": name, "value": secrets[source["secretKeyRef"]["name"], source["secretKeyRef"]["key"]]}
    return {"name": name, "value": _DOMAIN if name == "DOMAIN" else setting["value"]}


def _folder(folder: Path, volume: dict[str, Any]) -> dict[str, Any]:
    """Podman gives a volume the owner that the image says, and Kubernetes lets the pod's group write to it."""
    path = folder / volume["name"]
    path.mkdir(parents=True)
    path.chmod(0o777)
    return {"name": volume["name"], "hostPath": {"path": str(path), "type": "Directory"}}


class Podman:
    """Images and pods of its own, in ``folder``; within ``with``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Networks are the machine's, whosever images they are for.
        self._network = f"abtest{free_port()}"
        self._environment = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")}
        (folder / "containers.conf").write_text(_CONF)

    def __enter__(self) -> Self:
        self.run("network", "create", self._network)
        return self

    def __exit__(self, *_: object) -> None:
        self.run("pod", "rm", "--all", "--force", "--time", "10", check=False)
        self.run("network", "rm", self._network, check=False)
        self.run("rmi", "--all", "--force", check=False)

    def run(self, *arguments: str, check: bool = True) -> str:
        command = ["podman", "--root", str(self._folder / "root"), "--runroot", str(self._folder / "run"), *arguments]
        done = subprocess.run(
            command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stdout
        return done.stdout

    def take(self, images: Sequence[str]) -> None:
        """Takes images from Docker's engine."""
        file = self._folder / "images.tar"
        subprocess.run(["docker", "save", "--output", str(file), *images], check=True)
        self.run("load", "--quiet", "--input", str(file))
        file.unlink()

    def play(self, documents: Sequence[dict[str, Any]]) -> None:
        file = self._folder / "pods.yaml"
        file.write_text(yaml.safe_dump_all(documents))
        self.run("kube", "play", "--network", self._network, str(file))

    def execute(self, pod: str, container: str, *command: str) -> str:
        """What a command in a container says, whatever becomes of it."""
        return self.run("exec", f"{pod}-{container}", *command, check=False)

    def address(self, pod: str) -> str:
        infra = self.run("pod", "inspect", "--format", "{{.InfraContainerID}}", pod).strip()
        return self.run(
            "inspect", "--format", f"{{{{.NetworkSettings.Networks.{self._network}.IPAddress}}}}", infra
        ).strip()
