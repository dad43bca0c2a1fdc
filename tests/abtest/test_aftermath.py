"""What a replay finds out afterwards: what shadows scored, and what guardrails did."""

from typing import Any

import pytest

from abtest.aftermath import add_aftermath, look_before
from abtest.client import RefusedError, System
from abtest.replay import Summary

ENTRIES = [
    {"epoch": 1, "action": "start", "reason": "", "text": "round robin"},
    {"epoch": 2, "action": "split", "reason": "", "text": "pair of custom and vgg16"},
    {"epoch": 3, "action": "guardrail", "reason": "vgg16 failed 9 of 30", "text": "weighted custom=100 vgg16=0"},
]


class Told(System):
    """A system that says ``facts`` one after the other, then the last of them again and again."""

    def __init__(self, *facts: dict[str, Any]) -> None:
        super().__init__("http://127.0.0.1:1")
        self.facts = list(facts)

    def get(self, path: str, **_: Any) -> Any:
        if path == "/experiment/split":
            return {"in_force": {"epoch": 2}, "history": ENTRIES}
        return self.facts.pop(0) if len(self.facts) > 1 else self.facts[0]


def scored(custom: int, vgg16: int, wrong: int) -> dict[str, Any]:
    """Labelled lemons, by variant: right answers, and those of vgg16 that were wrong."""
    return {"confusion": {"custom": {"lemon": {"lemon": custom}}, "vgg16": {"lemon": {"lemon": vgg16, "apple": wrong}}}}


def test_shadows_and_guardrails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abtest.aftermath.time.sleep", lambda _: None)
    # The last lines of the ledger come late.
    system = Told(scored(5, 5, 0), scored(7, 5, 0), scored(8, 6, 1))
    before = look_before(system)
    assert before
    summary = Summary()
    summary.answered.update(custom=4)
    summary.labelled.update(custom=4)
    summary.repeated.update(custom=1)
    summary.right.update(custom=4)
    summary.new_right.update(custom=3)

    add_aftermath(system, before, summary)

    assert (summary.new, summary.shadowed, summary.shadow_right) == (3, {"vgg16": 2}, {"vgg16": 1})
    assert summary.meanwhile == ["vgg16 failed 9 of 30. In force: weighted custom=100 vgg16=0."]


def test_predictions_go_on_without_the_experiment() -> None:
    assert look_before(System("http://127.0.0.1:1")) is None
    summary = Summary()
    add_aftermath(System("http://127.0.0.1:1"), ({}, 1), summary)
    assert summary == Summary()
    with pytest.raises(RefusedError):
        System("http://127.0.0.1:1").get("/experiment.json")
