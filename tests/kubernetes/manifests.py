"""The manifests as a cluster would get them: their objects, pods and containers, and who reaches whom."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local.parts import ROOT

__all__ = ["FOLDER", "Manifests", "Pod", "Workload", "dockerfile", "selects"]

FOLDER = ROOT / "deploy" / "kubernetes"

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Pod:
    """What a Deployment or a StatefulSet makes pods of."""

    labels: Labels
    spec: dict[str, Any]

    @property
    def containers(self) -> list[dict[str, Any]]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def ports(self) -> dict[str, int]:
        """By name."""
        found = (port for container in self.containers for port in container.get("ports", []))
        return {port["name"]: port["containerPort"] for port in found}


@dataclass(frozen=True)
class Workload:
    """A Deployment or a StatefulSet."""

    object: dict[str, Any]

    @property
    def name(self) -> str:
        name: str = self.object["metadata"]["name"]
        return name

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.object["spec"]
        return spec

    @property
    def pod(self) -> Pod:
        template = self.spec["template"]
        return Pod(template["metadata"]["labels"], template["spec"])


class Manifests:
    """All objects of one folder, after Kustomize."""

    def __init__(self, folder: Path) -> None:
        built = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr
        self.objects: list[dict[str, Any]] = list(yaml.safe_load_all(built.stdout))

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The objects of a kind, by name."""
        return {found["metadata"]["name"]: found for found in self.objects if found["kind"] == kind}

    @property
    def workloads(self) -> dict[str, Workload]:
        found = self.of("Deployment") | self.of("StatefulSet")
        return {name: Workload(found) for name, found in found.items()}

    @property
    def containers(self) -> Iterator[tuple[Workload, dict[str, Any]]]:
        for workload in self.workloads.values():
            for container in workload.pod.containers:
                yield workload, container

    def selected(self, selector: dict[str, Any]) -> list[Workload]:
        """Whose pods a selector of labels finds."""
        return [workload for workload in self.workloads.values() if selects(selector, workload.pod.labels)]

    def reaches(self, source: Labels | None, target: Labels | None, port: int) -> bool:
        """Whether policies let a pod of ``source`` open ``port`` of one of ``target``; None is one from elsewhere."""
        return self._lets("egress", source, target, port) and self._lets("ingress", target, source, port)

    def _lets(self, way: str, own: Labels | None, other: Labels | None, port: int) -> bool:
        if own is None:
            return True
        policies = [policy["spec"] for policy in self.of("NetworkPolicy").values()]
        held = [p for p in policies if way.capitalize() in p["policyTypes"] and selects(p["podSelector"], own)]
        rules = [rule for policy in held for rule in policy.get(way, [])]
        return not held or any(_fits(rule, other, port) for rule in rules)


def _fits(rule: dict[str, Any], other: Labels | None, port: int) -> bool:
    """Whether one rule of a policy is for this peer and this port."""
    peers, ports = rule.get("from", rule.get("to")), rule.get("ports")
    known = peers is None or (other is not None and any(selects(peer["podSelector"], other) for peer in peers))
    return known and (ports is None or port in [each["port"] for each in ports])


def selects(selector: dict[str, Any], labels: Labels) -> bool:
    """Whether a selector finds what has ``labels``; an empty one finds everything."""
    named = selector.get("matchLabels", {})
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In", "no other is used here"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return all(labels.get(key) == value for key, value in named.items())


def dockerfile(part: str) -> Path:
    """Of which the image of a part is built; variants that have none of their own share one."""
    own = ROOT / part / "Dockerfile"
    return own if own.exists() else ROOT / "serving" / "Dockerfile"


def documented_secrets() -> set[tuple[str, str]]:
    """Name and key of every secret that the README has people make."""
    rows = re.findall(r"^\| `([a-z-]+)` \| ((?:`[^`]+`(?:, )?)+) \|", (FOLDER / "README.md").read_text(), re.MULTILINE)
    return {(name, key) for name, keys in rows for key in re.findall("`([^`]+)`", keys)}
