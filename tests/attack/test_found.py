"""What an attack found is told, and what is not as it is wanted stands out."""

from collections import Counter

import pytest

from attack.clients.uploads import Answer
from attack.contract import Contract
from attack.found import Attack, table
from attack.tried.rows import Row


def held() -> Attack:
    """One that came to nothing."""
    return Attack(
        statuses=Counter({200: 10, 400: 5, 503: 1}),
        uploads=16,
        rows=[Row("a GIF", "413", True)],
        waits={"nobody": [0.1], "as many ordinary clients": [0.1, 0.2], "the attack": [0.1, 0.3]},
        longest=(0.3, "a GIF"),
        contract=Contract(100, []),
        peaks_mb={"app_custom": 400.0},
        verdicts=("keep_going", "keep_going"),
    )


def test_what_came_to_nothing() -> None:
    found = held()

    assert found.bad == []
    assert "| statuses | | 200: 10, 400: 5, 503: 1 |" in table(found)
    assert "| beside the attack | ≤ 2 × | 0.30 s of 2 (99 %: 0.30 s), 1.5 ×; a GIF |" in table(found)
    assert "| a GIF | 413 | yes |" in table(found)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("failures", ["gif to /predict: 500"], "It failed: gif to /predict: 500."),
        ("rows", [Row("a GIF", "200", False)], "It got through: a GIF (200)."),
        ("ended", ["app_custom"], "It ended: app_custom."),
        ("peaks_mb", {"app_custom": 1600.0}, "app_custom took 1600 MB."),
        ("contract", Contract(9, ["POST /predict: ST103"]), "The description is not kept: POST /predict: ST103."),
        ("handed_on", 2, "2 uploads that one variant failed were handed to the other."),
        ("verdicts", ("keep_going", "candidate"), "The verdict was keep_going and is candidate."),
    ],
)
def test_what_is_not_as_it_is_wanted(field: str, value: object, sentence: str) -> None:
    found = held()
    setattr(found, field, value)

    assert found.bad == [sentence]


@pytest.mark.parametrize(
    ("answer", "dishonest"),
    [
        (Answer(200, 1), False),
        (Answer(400, 1), False),
        (Answer(503, 1, honest=True), False),
        (Answer(503, 1), True),
        (Answer(500, 1), True),
        (Answer(504, 1), True),
        (Answer(0, 1), True),
    ],
)
def test_an_answer_that_says_that_the_system_has_failed(answer: Answer, dishonest: bool) -> None:
    assert answer.dishonest is dishonest
