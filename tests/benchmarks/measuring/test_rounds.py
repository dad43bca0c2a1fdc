from benchmarks.measuring.rounds import Spread, ratios, turns


def test_spread_is_the_median_between_least_and_greatest() -> None:
    assert Spread.of([3, 9, 4]) == Spread(4, 3, 9)


def test_a_ratio_is_taken_within_each_round_against_its_best_peer() -> None:
    # The median of the ratios 10, 5 and 4; the ratio of the medians would be 50 / 8.
    assert ratios([50, 50, 40], {"one": [5, 8, 10], "other": [4, 10, 9]}) == Spread(5, 4, 10)


def test_a_round_that_no_peer_answered_in_has_no_ratio() -> None:
    assert ratios([50, 60], {"one": [0, 10]}) == Spread(6, 6, 6)
    assert ratios([50], {"one": [0]}) is None


def test_everyone_has_a_turn_in_each_round_and_each_is_first_once() -> None:
    order = list(turns(["a", "b", "c"], 3))

    assert [name for _, name in order] == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert [number for number, _ in order] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
