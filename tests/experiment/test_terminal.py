"""``abtest report`` against a service at work."""

import json
from collections.abc import Callable

from tests.abtest.test_replay import run
from tests.classes import APPLE, LEMON
from tests.experiment.conftest import At, both
from tests.system import eventually


def test_the_report_in_the_terminal(at_work: At, serve_http: Callable[[At], str]) -> None:
    url = serve_http(at_work)
    at_work.ledger.write("not ours\n", *(both(str(number), APPLE, LEMON) for number in range(5)))
    eventually(lambda: at_work.report()["pairs"]["disagree"] == 5)
    for number in range(5):
        at_work.give(str(number), LEMON)
    at_work.force("weighted", {"custom": 100}, "guardrail", "vgg16 failed")
    eventually(lambda: at_work.report()["guardrail"]["latched"])
    result = run("report", url=url)
    assert result.exit_code == 0, result.output
    for said in (
        "Keep going",
        "5 labels, 100 at the least",
        "5 of 5",
        "Guardrail: all traffic",
        "Next: ",
        "were skipped",
    ):
        assert said in result.output
    assert json.loads(run("report", "--json", url=url).output)["experiment"]["candidate"] == "vgg16"


def test_a_report_that_cannot_be_had_is_said(at_work: At, serve_http: Callable[[At], str]) -> None:
    url = serve_http(at_work)
    at_work.service._make_report = lambda *_: None  # type: ignore[method-assign]
    at_work.service._cache.clear()
    result = run("report", url=url)
    assert result.exit_code == 1
    assert "no experiment" in result.output
