"""Who may reach whom, by the policies of the network."""

import pytest

from tests.kubernetes.manifests import Manifests
from tests.kubernetes.test_references import BROUGHT

OPERATOR = "operator"
ELSEWHERE = "elsewhere"


def _who_reaches(manifests: Manifests, target: str) -> set[str]:
    """The pods that may open a port of those of ``target``; among them an operator's, and one of another namespace."""
    pods = {name: workload.pod for name, workload in manifests.workloads.items()}
    sources = {name: pod.labels for name, pod in pods.items()} | {OPERATOR: BROUGHT, ELSEWHERE: None}
    ports = pods[target].ports.values()
    return {
        name
        for name, labels in sources.items()
        if any(manifests.reaches(labels, pods[target].labels, p) for p in ports)
    }


def test_only_gateways_reach_variants(manifests: Manifests) -> None:
    for name, workload in manifests.workloads.items():
        if workload.pod.labels["app.kubernetes.io/component"] == "variant":
            assert _who_reaches(manifests, name) == {"gateway"}


def test_only_gateways_and_operators_reach_the_control_api(manifests: Manifests) -> None:
    assert _who_reaches(manifests, "experiment") == {"gateway", OPERATOR}


def test_everybody_outside_reaches_gateways_and_nothing_else(manifests: Manifests) -> None:
    assert _who_reaches(manifests, "gateway") == {"experiment", OPERATOR, ELSEWHERE}
    others = set(manifests.workloads) - {"gateway"}
    assert not any(ELSEWHERE in _who_reaches(manifests, name) for name in others)


def test_only_the_experiment_and_followers_reach_the_database(small: Manifests) -> None:
    assert _who_reaches(small, "postgres") == {"experiment", "gateway"}


def test_a_database_elsewhere_is_reached_by_those_who_need_it(manifests: Manifests) -> None:
    reach = {name for name, w in manifests.workloads.items() if manifests.reaches(w.pod.labels, None, 5432)}
    assert reach == {"experiment", "gateway"}


@pytest.mark.parametrize(("port", "reached"), [(53, True), (80, False), (443, False)])
def test_nobody_reaches_the_world_but_for_names(manifests: Manifests, port: int, reached: bool) -> None:
    assert {manifests.reaches(w.pod.labels, None, port) for w in manifests.workloads.values()} == {reached}
