"""Whatever one object names in another is there."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import experiment.follow
import experiment.settings
import serving.settings
from local.parts import ROOT
from tests.kubernetes.manifests import FOLDER, Manifests, Workload, documented_secrets, selects
from variants import VARIANTS

# Of pods that operators bring.
BROUGHT = {"app.kubernetes.io/component": "operator"}


def _claims(workload: Workload) -> set[str]:
    return {template["metadata"]["name"] for template in workload.spec.get("volumeClaimTemplates", [])}


def _references(value: Any, kind: str) -> Iterator[dict[str, Any]]:
    """Every object under the key ``kind``, however deep."""
    if isinstance(value, dict):
        if isinstance(value.get(kind), dict):
            yield value[kind]
        for each in value.values():
            yield from _references(each, kind)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each, kind)


def test_everything_is_in_the_namespace(manifests: Manifests) -> None:
    (namespace,) = manifests.of("Namespace")
    assert {o["metadata"].get("namespace") for o in manifests.objects if o["kind"] != "Namespace"} == {namespace}


def test_selectors_find_the_pods_that_they_are_for(manifests: Manifests) -> None:
    for name, workload in manifests.workloads.items():
        assert manifests.selected(workload.spec["selector"]) == [workload], name
        for spread in workload.pod.spec.get("topologySpreadConstraints", []):
            assert selects(spread["labelSelector"], workload.pod.labels), name
    for name, budget in manifests.of("PodDisruptionBudget").items():
        assert [found.name for found in manifests.selected(budget["spec"]["selector"])] == [name]
    for policy in manifests.of("NetworkPolicy").values():
        peers = list(_references(policy["spec"], "podSelector"))
        assert all(manifests.selected(peer) or selects(peer, BROUGHT) for peer in peers), policy["metadata"]["name"]


def test_services_lead_to_a_port_of_their_pods(manifests: Manifests) -> None:
    for name, service in manifests.of("Service").items():
        found = manifests.selected({"matchLabels": service["spec"]["selector"]})
        assert len(found) == 1, name
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in found[0].pod.ports, name
            # Nobody translates ports where there is no address in front.
            if service["spec"].get("clusterIP") == "None":
                assert port["port"] == found[0].pod.ports[port["targetPort"]], name


def test_every_stateful_set_has_its_headless_service(manifests: Manifests) -> None:
    for name, found in manifests.of("StatefulSet").items():
        service = manifests.of("Service")[found["spec"]["serviceName"]]["spec"]
        assert service["clusterIP"] == "None", name
        assert selects({"matchLabels": service["selector"]}, Workload(found).pod.labels), name


def test_autoscalers_scale_what_says_nothing_of_replicas(manifests: Manifests) -> None:
    variants = {name for name, w in manifests.workloads.items() if w.name.startswith("app-")}
    assert set(manifests.of("HorizontalPodAutoscaler")) == variants
    for name, scaler in manifests.of("HorizontalPodAutoscaler").items():
        target = scaler["spec"]["scaleTargetRef"]
        scaled = manifests.of(target["kind"])[target["name"]]
        assert (target["name"], target["apiVersion"]) == (name, scaled["apiVersion"])
        # Else every `kubectl apply` puts the number back.
        assert "replicas" not in scaled["spec"], name


def test_the_ingress_leads_to_a_port_of_a_service(manifests: Manifests) -> None:
    for ingress in manifests.of("Ingress").values():
        for backend in _references(ingress["spec"], "backend"):
            ports = manifests.of("Service")[backend["service"]["name"]]["spec"]["ports"]
            assert backend["service"]["port"]["name"] in [port["name"] for port in ports]
        hosts = {host for tls in ingress["spec"]["tls"] for host in tls["hosts"]}
        assert {rule["host"] for rule in ingress["spec"]["rules"]} == hosts
        assert {(tls["secretName"], "tls.crt") for tls in ingress["spec"]["tls"]} <= documented_secrets()


def test_volumes_are_there_and_mounted(manifests: Manifests) -> None:
    for name, workload in manifests.workloads.items():
        volumes = {volume["name"] for volume in workload.pod.spec.get("volumes", [])}
        mounts = [mount for container in workload.pod.containers for mount in container.get("volumeMounts", [])]
        assert not volumes & _claims(workload), name
        assert volumes | _claims(workload) == {mount["name"] for mount in mounts}, name


def test_settings_and_files_are_there(manifests: Manifests) -> None:
    maps = manifests.of("ConfigMap")
    named = {
        reference["name"]
        for workload in manifests.workloads.values()
        for kind in ("configMap", "configMapRef")
        for reference in _references(workload.object, kind)
    }
    assert named == set(maps)
    # Files by the paths that settings name.
    for workload, container in manifests.containers:
        files = {
            f"{mount['mountPath']}/{key}"
            for mount in container.get("volumeMounts", [])
            for volume in workload.pod.spec.get("volumes", [])
            if volume["name"] == mount["name"] and "configMap" in volume
            for key in maps[volume["configMap"]["name"]]["data"]
        }
        given = {e["name"]: e.get("value") for e in container.get("env", [])}
        assert {given[name] for name in ("PLAN", "VARIANTS") if name in given} <= files


def test_secrets_are_those_that_the_readme_has_people_make(small: Manifests) -> None:
    assert not small.of("Secret")
    used = [reference for w in small.workloads.values() for reference in _references(w.object, "secretKeyRef")]
    assert {(reference["name"], reference["key"]) for reference in used} == {
        (name, key) for name, key in documented_secrets() if not key.startswith("tls.")
    }


def test_probes_ask_a_port_of_their_container(manifests: Manifests) -> None:
    for workload, container in manifests.containers:
        ports = {port["name"] for port in container.get("ports", [])}
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            if not ports:
                assert kind not in container, container["name"]
                continue
            probe = container[kind]
            asked = probe.get("httpGet") or probe.get("tcpSocket")
            assert asked is None or asked["port"] in ports, workload.name


def test_nothing_is_dropped_when_pods_come_and_go(manifests: Manifests) -> None:
    for name, workload in manifests.workloads.items():
        pod = workload.pod
        waits = [c["lifecycle"]["preStop"]["sleep"]["seconds"] for c in pod.containers if "lifecycle" in c]
        if pod.labels["app.kubernetes.io/component"] == "variant":
            assert workload.spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0, name
            # Names are kept for up to 30 s, and answers take as long.
            assert waits[0] > 30, name
        if pod.labels["app.kubernetes.io/component"] in ("variant", "gateway"):
            assert waits[0] + 30 < pod.spec["terminationGracePeriodSeconds"], name


def test_every_setting_is_one_that_its_image_knows(manifests: Manifests) -> None:
    script = (ROOT / "nginx" / "gateway.sh").read_text()
    gateway = {*re.findall(r"\{([A-Z_]+):=", script), "NAMESPACE"}
    service = {name.upper() for name in experiment.settings.Settings.model_fields}
    variant = {name.upper() for name in serving.settings.Settings.model_fields}
    follower = {*(name.upper() for name in experiment.follow.FollowSettings.model_fields), "VARIANTS"}
    known = {"nginx": gateway, "experiment": service, "follower": follower, "variant": variant}
    for _, container in manifests.containers:
        if container["name"] in known:
            given = {setting["name"] for setting in container.get("env", [])}
            assert given <= known[container["name"]], container["name"]
    (settings,) = (found["data"] for name, found in manifests.of("ConfigMap").items() if name.startswith("settings"))
    assert set(settings) <= gateway | service


def test_addresses_in_settings_are_those_of_services(manifests: Manifests) -> None:
    services = manifests.of("Service")
    for workload, container in manifests.containers:
        for setting in container.get("env", []):
            where = urlsplit(setting.get("value", ""))
            if where.scheme == "http":
                assert where.port in [p["port"] for p in services[str(where.hostname)]["spec"]["ports"]], workload.name
    # Where gateways ask, unless they are told otherwise.
    assert [port["port"] for port in services["experiment"]["spec"]["ports"]] == [8010]


def test_every_variant_of_the_list_is_deployed(manifests: Manifests) -> None:
    listed = tomllib.loads(manifests.of("ConfigMap")["project"]["data"]["variants.toml"])["variant"]
    variants = {
        w.name: w for w in manifests.workloads.values() if w.pod.labels["app.kubernetes.io/component"] == "variant"
    }
    assert set(variants) == {variant["service"].replace("_", "-") for variant in listed}
    for variant in listed:
        service = manifests.of("Service")[variant["service"].replace("_", "-")]["spec"]
        assert service["clusterIP"] == "None"
        assert [port["port"] for port in service["ports"]] == [variant["port"]]
        (container,) = variants[variant["service"].replace("_", "-")].pod.containers
        assert container["image"].split(":")[0].endswith(f"abtest-{variant['service']}")


def test_overlays_say_where_every_image_comes_from(manifests: Manifests) -> None:
    images = {container["image"] for _, container in manifests.containers}
    if images & {"abtest-nginx"}:
        services = (variant.service for variant in VARIANTS)
        assert images == {f"abtest-{part}" for part in (*services, "experiment", "nginx")}
        return
    for image in images:
        name, _, tag = image.rpartition(":")
        assert tag not in ("", "latest")
        assert name.startswith("registry.example.org/abtest-") or name == "postgres"


def test_the_readme_talks_to_what_there_is(small: Manifests) -> None:
    text = (FOLDER / "README.md").read_text()
    for kind in ("Deployment", "StatefulSet", "Service"):
        named = set(re.findall(rf" {kind.lower()}/([a-z0-9-]+)", text))
        assert named
        assert named <= set(small.of(kind))
    for container in re.findall(r"statefulset/gateway -c (\w+)", text):
        assert container in [found["name"] for found in small.workloads["gateway"].pod.containers]
