"""The whole system as people start it: docker-compose up --build."""

import json
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import requests

from tests.compose.conftest import Stack
from tests.load import Load
from tests.system import eventually
from variants import CLASSES, VARIANTS

NAMES = [variant.name for variant in VARIANTS]
APPS = [variant.service for variant in VARIANTS]
SERVICES = {*APPS, "experiment", "nginx"}


def in_turn(stack: Stack, photo: bytes, rounds: int = 5) -> bool:
    """Whether of so many rounds of photos every variant answers one each."""
    return Counter(stack.variants(photo, rounds * len(NAMES))) == dict.fromkeys(NAMES, rounds)


def test_predictions_alternate_and_the_logs_show_who_served(stack: Stack, photo: bytes) -> None:
    answered = stack.variants(photo, 10 * len(NAMES))
    assert Counter(answered) == dict.fromkeys(NAMES, 10)
    assert all(first != second for first, second in pairwise(answered))

    headers = {"X-Request-ID": "to-be-found"}
    requests.post(f"{stack.url}/predict", files={"file": photo}, headers=headers, timeout=60)

    def logged() -> str:
        logs = stack.run("logs", "--no-color")
        return logs if logs.count("to-be-found") == 2 else ""

    logs = eventually(logged)
    name, seen = "|".join(NAMES), "|".join(map(re.escape, CLASSES))
    line = rf'\| (?:{name}) request_id=to-be-found class="?(?:{seen})"? p=\S+ decode=\S+ms infer=\S+ms 200'
    assert re.search(line, logs)
    assert re.search(rf"nginx\S* +\| \d\d:\d\d:\d\d (?:{name}) +(?:{seen}) \d\.\d\d +\d+ ms  to-be-found", logs)


def test_every_service_is_healthy_and_has_no_rights_it_does_not_need(stack: Stack) -> None:
    def all_healthy() -> bool:
        return {stack.containers(name)[0]["State"]["Health"]["Status"] for name in SERVICES} == {"healthy"}

    eventually(all_healthy, within_s=120)
    for name in SERVICES:
        (container,) = stack.containers(name)
        host = container["HostConfig"]
        assert container["Config"]["User"] not in {"", "0", "root"}
        assert host["ReadonlyRootfs"] is True
        assert host["CapDrop"] == ["ALL"]
        assert host["Memory"] > 0
        assert host["RestartPolicy"]["Name"] == "unless-stopped"
        assert host["LogConfig"]["Config"]["max-size"] == "10m"
        assert "Read-only file system" in stack.execute(name, "touch", "/made-here")


def test_all_is_for_this_machine_only(stack: Stack) -> None:
    for port, name in ((8009, "custom"), (8008, "vgg16")):
        # Another copy may have these ports already.
        alone = f"http://{stack.run('port', 'nginx', str(port)).strip()}"
        assert requests.get(f"{alone}/readyz", timeout=10).json()["variant"] == name
        assert "predictions_total" in requests.get(f"{alone}/metrics", timeout=10).text
    published = {
        binding["HostIp"]
        for name in SERVICES
        for bindings in stack.containers(name)[0]["NetworkSettings"]["Ports"].values()
        for binding in bindings or []
    }
    assert published == {"127.0.0.1"}
    assert requests.get(f"{stack.url}/metrics", timeout=10).status_code == 404


def test_abtest_changes_the_split_and_it_outlives_nginx(stack: Stack, photo: bytes) -> None:
    changed = stack.execute("experiment", "abtest", "split", "custom=90", "vgg16=10")
    assert "In force: weighted custom=90 vgg16=10" in changed
    assert Counter(stack.variants(photo, 10)) == {"custom": 9, "vgg16": 1}
    assert "There is no variant 'resnet'." in stack.execute("experiment", "abtest", "promote", "resnet")

    stack.run("restart", "nginx")
    stack.wait_ready()
    assert Counter(stack.variants(photo, 10)) == {"custom": 9, "vgg16": 1}
    assert re.search(r"vgg16\s+│ yes\s+│ 10 %", stack.execute("experiment", "abtest", "status"))
    assert "In force: round robin" in stack.execute("experiment", "abtest", "rollback")


def test_a_photo_that_a_variant_kept_is_forgotten_by_the_experiment(stack: Stack, photo: bytes) -> None:
    headers = {"X-Request-ID": "to-forget"}
    requests.post(f"{stack.url}/predict", files={"file": photo}, headers=headers, timeout=60)
    there = "/images/to-forget.jpg"
    assert stack.execute("experiment", "ls", there).strip() == there
    eventually(lambda: "1 request, 0 labels, 1 photo" in stack.execute("experiment", "abtest", "forget", "to-forget"))
    assert "No such file" in stack.execute("experiment", "ls", there)


def test_replicas_do_not_change_the_split(stack: Stack, photo: bytes) -> None:
    stack.run("up", "--detach", "--no-recreate", "--scale", "app_vgg16=3", "app_vgg16")
    try:
        eventually(lambda: {c["State"]["Health"]["Status"] for c in stack.containers("app_vgg16")} == {"healthy"}, 120)

        def addresses() -> set[str]:
            assert in_turn(stack, photo, 6)
            lines = stack.execute("nginx", "tail", "-n", f"{6 * len(NAMES)}", "/ledger/ledger.jsonl").splitlines()
            return {json.loads(line)["upstream_addr"] for line in lines if '"variant":"vgg16"' in line}

        eventually(lambda: len(addresses()) == 3)
    finally:
        stack.run("up", "--detach", "--no-recreate", "--scale", "app_vgg16=1", "app_vgg16")
    eventually(lambda: in_turn(stack, photo))


def test_nothing_is_dropped_when_containers_come_and_go(stack: Stack, photo: bytes) -> None:
    with Load(stack.url, photo).going() as load:
        stack.run("kill", "-s", "SIGKILL", "app_vgg16")
        load.answered(20)
        stack.run("start", "app_vgg16")
        stack.wait_ready()
        for service in APPS:
            stack.run("restart", service)
            stack.wait_ready()
            load.answered(10)
        # A new container has a new address.
        stack.run("up", "--detach", "--no-deps", "--force-recreate", "app_custom")
        stack.wait_ready()
        load.answered(10)
        # To the guardrail a variant that is killed is one that fails, so it may be changing the split just now.
        eventually(lambda: "In force" in stack.execute("experiment", "abtest", "promote", "vgg16"))
        load.answered(10)
        eventually(lambda: "In force" in stack.execute("experiment", "abtest", "rollback"))
        load.answered(10)
        stack.run("stop", "experiment")
        load.answered(10)
        stack.run("start", "experiment")

    assert set(load.outcomes) == {"200"}
    # It may also have taken the candidate's traffic.
    eventually(lambda: "In force" in stack.execute("experiment", "abtest", "split", "round-robin"))
    eventually(lambda: in_turn(stack, photo))


def test_a_change_of_what_all_share_replaces_one_variant_after_the_other(stack: Stack, photo: bytes) -> None:
    def history() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = requests.get(f"{stack.url}/experiment/split", timeout=10).json()["history"]
        return found

    before = history()[-1]["epoch"]
    with Load(stack.url, photo).going() as load:
        stack.run("up", "--detach", "--force-recreate", *APPS)
        stack.wait_ready()
        load.answered(20)

    assert set(load.outcomes) == {"200"}
    # Who was away got its share back by itself, and the guardrail saw no fault.
    eventually(lambda: in_turn(stack, photo), within_s=180)
    assert {entry["action"] for entry in history() if entry["epoch"] > before} <= {"outage", "back"}


def test_nginx_waits_for_nobody(stack: Stack, photo: bytes) -> None:
    stack.run("stop", *APPS, "experiment")
    stack.run("restart", "nginx")
    eventually(lambda: requests.get(f"{stack.url}/healthz", timeout=5).status_code == 503)
    refused = requests.post(f"{stack.url}/predict", files={"file": photo}, timeout=60)
    assert refused.status_code == 502
    assert refused.json() == {"detail": "No variant could answer. Try again in a moment."}

    stack.run("start", *APPS, "experiment")
    stack.wait_ready()
    # Who was seen to be away gets its share back by itself.
    eventually(lambda: set(stack.variants(photo, len(NAMES))) == set(NAMES), within_s=180)
