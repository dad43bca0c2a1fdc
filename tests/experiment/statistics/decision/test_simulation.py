import math

import pytest

from experiment.statistics import Scenario, simulate


def test_power_of_pairs() -> None:
    # Agreement such that on 12 % of photos just one of the two is right.
    found = simulate(Scenario(0.85, 0.88, agreement=0.559, shadow_share=1), labels=3000, replications=600)
    assert found.candidate == pytest.approx(0.975, abs=0.02)
    assert found.labels[1] == pytest.approx(985, abs=110)
    assert found.days[1] == pytest.approx(found.labels[1] / 100)
    assert found.wrong == pytest.approx(0, abs=0.01)


def test_pairs_need_a_fraction_of_the_labels() -> None:
    paired = simulate(Scenario(0.85, 0.88, shadow_share=1), labels=4000, replications=200)
    some = simulate(Scenario(0.85, 0.88, shadow_share=0.3), labels=12_000, replications=200)
    unpaired = simulate(Scenario(0.85, 0.88), labels=12_000, replications=200)
    assert paired.labels[1] < 0.4 * unpaired.labels[1]
    assert paired.labels[1] < some.labels[1] < unpaired.labels[1]


@pytest.mark.parametrize("shadow_share", [0, 0.5, 1])
def test_equal_variants_are_seldom_told_apart(shadow_share: float) -> None:
    found = simulate(Scenario(0.85, 0.85, shadow_share=shadow_share, margin=0.001), labels=3000, replications=600)
    assert found.wrong == found.candidate + found.control
    assert found.wrong <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 600)
    assert found.undecided > 0.9
    assert found.labels[1] == math.inf


def test_equivalence_is_found_and_the_worse_is_told() -> None:
    alike = simulate(Scenario(0.9, 0.9, agreement=0.9, shadow_share=1, margin=0.03), labels=3000, replications=100)
    assert alike.equivalent > 0.9
    worse = simulate(Scenario(0.9, 0.6, candidate_share=0.2), labels=2000, replications=100)
    assert (worse.control, worse.wrong) == (1, 0)


def test_the_same_seed_gives_the_same_answer() -> None:
    scenario = Scenario(0.8, 0.9)
    assert simulate(scenario, 500, 30, seed=4) == simulate(scenario, 500, 30, seed=4)
    assert simulate(scenario, 500, 30, seed=4) != simulate(scenario, 500, 30, seed=5)


def test_one_look_at_the_end() -> None:
    assert simulate(Scenario(0.0, 1.0), labels=100, replications=5).labels == (100, 100, 100)


@pytest.mark.parametrize("impossible", [{"control_accuracy": 1.1}, {"label_rate": 0}, {"shadow_share": -0.1}])
def test_impossible_scenarios(impossible: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must lie|without"):
        Scenario(**{"control_accuracy": 0.8, "candidate_accuracy": 0.9} | impossible)  # type: ignore[arg-type]


def test_a_horizon_below_the_minimum_of_labels() -> None:
    with pytest.raises(ValueError, match="horizon"):
        simulate(Scenario(0.8, 0.9), labels=50)


def test_a_price_and_its_decisions() -> None:
    enough = simulate(Scenario(0.8, 0.92, shadow_share=1, worth=0.02), labels=3000, replications=60)
    assert enough.candidate > 0.95
    little = simulate(Scenario(0.8, 0.82, agreement=0.95, shadow_share=1, worth=0.1), labels=3000, replications=60)
    assert little.not_worth > 0.95
    assert little.wrong == 0


def test_what_is_not_decided_within_the_horizon_is_said_so() -> None:
    found = simulate(Scenario(0.85, 0.86), labels=500, replications=20)
    assert found.labels[1] == math.inf
    assert found.sentences == (
        "Not within 500 labels, in nine of ten experiments",
        "Not within 5.0 days, in nine of ten experiments",
    )
    some = simulate(Scenario(0.85, 0.93, shadow_share=1), labels=200, replications=100)
    assert all("inf" not in sentence for sentence in some.sentences)
    all_of_them = simulate(Scenario(0.7, 0.95, shadow_share=1), labels=2000, replications=50)
    assert "nine of ten within" in all_of_them.sentences[0]
