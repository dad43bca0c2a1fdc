"""The stack on three hosts: what it promises while all is well, and while nodes die. In this order, on one stack."""

from itertools import pairwise

import pytest
import requests

from abtest.client import RefusedError
from tests.classes import LEMON
from tests.swarm.conftest import Hosts, Stack, Visitors
from tests.system import COMPARED, eventually
from variants import VARIANTS

_FIRST, _SECOND = COMPARED
_AGAIN_S = 240


def names(stack: Stack, node: int, photo: bytes, count: int = 20) -> list[str]:
    """Who answered at a gateway, in turn."""
    answers = [
        requests.post(f"{stack.urls[node]}/predict", files={"file": ("a.jpg", photo)}, timeout=60) for _ in range(count)
    ]
    assert [answer.status_code for answer in answers] == [200] * count
    return [answer.headers["X-Variant"] for answer in answers]


def label(stack: Stack, node: int, photo: bytes) -> None:
    """A photo answered and labelled at a gateway."""
    answer = requests.post(f"{stack.urls[node]}/predict", files={"file": ("a.jpg", photo)}, timeout=60)

    def taken() -> bool:
        with stack.client(node) as client:
            client.post("/feedback", {"request_id": answer.headers["X-Request-ID"], "true_label": LEMON, "blind": True})
        return True

    eventually(taken)


def moved(stack: Stack, service: str, dead: int) -> bool:
    """Whether a service has its two replicas, none of them on the dead node."""
    nodes = stack.tasks(service)
    return len(nodes) == 2 and dead not in nodes


def changed(stack: Stack, shares: dict[str, float]) -> int:
    """The epoch of a new split."""
    with stack.client() as client:
        epoch: int = client.change("split", rule="weighted", shares=shares)["epoch"]
    return epoch


def counted(stack: Stack) -> bool:
    """Whether what the ledgers of all nodes hold was counted, each prediction once, and nothing is said to be lost."""
    report = stack.report()
    return (sum(report["traffic"]["assigned"].values()), report["ledger"]["lost"]) == (stack.requests_in_ledgers(), 0)


def test_variants_take_turns_at_each_gateway(stack: Stack, photo: bytes) -> None:
    for node in stack.urls:
        turns = names(stack, node, photo)
        assert all(one != other for one, other in pairwise(turns)), turns
        assert {turns.count(variant.name) for variant in VARIANTS} == {20 // len(VARIANTS)}
    eventually(lambda: counted(stack))


def test_a_split_takes_force_at_every_gateway_or_at_none(stack: Stack) -> None:
    with stack.client() as client:
        epoch = client.change("split", rule="weighted", shares={_FIRST.name: 90, _SECOND.name: 10})["epoch"]
        assert stack.epochs() == [epoch] * 3
        # Here nginx's test of the next configuration fails.
        stack.execute(3, "nginx", "sh", "-c", "rm -f /tmp/test.conf && mkdir /tmp/test.conf")
        with pytest.raises(RefusedError, match=r"Nothing was changed: nginx refuses this split\. swarm3: "):
            client.change("split", rule="round_robin", shares={})
        eventually(lambda: stack.epochs() == [epoch] * 3)
        assert client.split()["in_force"]["epoch"] == epoch
        stack.execute(3, "nginx", "rmdir", "/tmp/test.conf")
        epoch = client.change("split", rule="round_robin", shares={})["epoch"]
        assert stack.epochs() == [epoch] * 3


def test_replicas_come_and_the_split_stays(stack: Stack, photo: bytes) -> None:
    stack.docker("service", "scale", "--detach", f"abtest_{_SECOND.service}=3")
    eventually(lambda: stack.tasks(_SECOND.service) == [1, 2, 3], within_s=_AGAIN_S)

    def addresses() -> int:
        text = stack.execute(1, "nginx", "tail", "-n", "12", "/ledger/ledger.jsonl")
        return len(
            {line.split('"upstream_addr":"')[1].split('"')[0] for line in text.splitlines() if _SECOND.name in line}
        )

    def seen() -> bool:
        turns = names(stack, 1, photo, 12)
        assert all(one != other for one, other in pairwise(turns)), turns
        return addresses() == 3

    eventually(seen, within_s=120)
    stack.docker("service", "scale", "--detach", f"abtest_{_SECOND.service}=2")


def test_an_update_drops_no_request(stack: Stack, photo: bytes) -> None:
    service = f"abtest_{_SECOND.service}"
    before = stack.docker("service", "inspect", service, "--format", "{{.Spec.TaskTemplate.ContainerSpec.Image}}")
    image = before.split("@")[0].replace(":one", ":two").strip()
    with Visitors(stack, photo, (1, 2)).asking() as visitors:
        stack.docker("service", "update", "--detach", "--image", image, service)

        def state() -> str:
            return stack.docker(
                "service", "inspect", service, "--format", "{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}"
            )

        eventually(lambda: state().strip() == "completed", within_s=_AGAIN_S)
    assert [set(outcomes) for outcomes in visitors.outcomes.values()] == [{"200"}] * 2, visitors.outcomes


def test_a_worker_dies_and_the_rest_goes_on(stack: Stack, hosts: Hosts, photo: bytes) -> None:
    service_on = stack.tasks("experiment")[0]
    dead = 5 - service_on
    label(stack, dead, photo)
    labels = stack.report()["labels"]["given"]
    with Visitors(stack, photo, (1, service_on, dead)).asking() as visitors:
        hosts.kill(dead)
        eventually(lambda: all(moved(stack, variant.service, dead) for variant in COMPARED), within_s=_AGAIN_S)
        # What the dead node was writing to the database may hold it for some seconds.
        epoch = eventually(lambda: changed(stack, {_FIRST.name: 50, _SECOND.name: 50}), within_s=120)
        label(stack, 1, photo + b"another")
        eventually(lambda: stack.report()["labels"]["given"] == labels + 1)
    others = [visitors.outcomes[1], visitors.outcomes[service_on]]
    assert [set(outcomes) for outcomes in others] == [{"200"}] * 2, visitors.outcomes
    hosts.start(dead)
    eventually(lambda: stack.epochs() == [epoch] * 3, within_s=_AGAIN_S)
    eventually(lambda: counted(stack), within_s=120)


def test_the_service_comes_back_elsewhere_with_all_it_acknowledged(stack: Stack, hosts: Hosts, photo: bytes) -> None:
    dead = stack.tasks("experiment")[0]
    other = 5 - dead
    before = stack.report()
    with stack.client() as client:
        splits = client.split()
    with Visitors(stack, photo, (1, other)).asking() as visitors:
        hosts.kill(dead)
        eventually(lambda: stack.tasks("experiment") == [other], within_s=_AGAIN_S)
        after = eventually(stack.report, within_s=_AGAIN_S)
    assert [set(outcomes) for outcomes in visitors.outcomes.values()] == [{"200"}] * 2, visitors.outcomes
    assert after["labels"]["given"] == before["labels"]["given"] > 0
    assert after["experiment"]["id"] == before["experiment"]["id"]
    epoch = splits["in_force"]["epoch"]
    with stack.client() as client:
        assert client.split()["in_force"]["epoch"] == epoch
    hosts.start(dead)
    eventually(lambda: stack.epochs() == [epoch] * 3, within_s=_AGAIN_S)
    eventually(lambda: counted(stack), within_s=_AGAIN_S)


def test_one_command_takes_it_all_away(stack: Stack) -> None:
    stack.down()
    left = [stack.docker(*what, node=1) for what in (("service", "ls", "-q"), ("secret", "ls", "-q"))]
    left += [stack.docker("volume", "ls", "-q", "--filter", "name=abtest", node=node) for node in stack.urls]
    assert left == [""] * 5
