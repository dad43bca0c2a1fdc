"""Which splits can be, and what nginx makes of them."""

import random
from itertools import pairwise

import pytest

from traffic.split import Shadow, Split, SplitError, make_split, weights

NAMES = ["a", "b", "c"]


def _owners(split: Split) -> list[str]:
    """Who owns each hundredth of a percent of the users."""
    return [name for name, share in split.segments for _ in range(round(100 * share))]


def test_round_robin_gives_everyone_the_same() -> None:
    split = make_split("round_robin", {}, NAMES)

    assert weights(split) == {"a": 1, "b": 1, "c": 1}
    assert sum(split.shares.values()) == pytest.approx(100)
    assert split.epoch == 1
    assert str(split) == "round robin"


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"a": 90, "b": 10}, {"a": 9, "b": 1, "c": 0}),
        ({"a": 50, "b": 30, "c": 20}, {"a": 5, "b": 3, "c": 2}),
        ({"c": 100}, {"a": 0, "b": 0, "c": 1}),
        ({"a": 33.33, "b": 33.33, "c": 33.34}, {"a": 3333, "b": 3333, "c": 3334}),
    ],
)
def test_weights_are_the_smallest_whole_numbers(shares: dict[str, float], expected: dict[str, int]) -> None:
    assert weights(make_split("weighted", shares, NAMES)) == expected


@pytest.mark.parametrize(
    ("shares", "shadow", "sentence"),
    [
        ({"a": 60, "b": 30}, None, "The shares add up to 90 percent; they must add up to 100."),
        ({"a": 110, "b": -10}, None, "b's share must be a percentage of at most two decimals, not -10."),
        ({"a": 99.999, "b": 0.001}, None, "a's share must be a percentage of at most two decimals, not 99.999."),
        ({"a": float("nan"), "b": 100}, None, "a's share must be a percentage of at most two decimals, not nan."),
        ({"d": 100}, None, "There is no variant 'd'. The variants are a, b, c."),
        ({"a": 100}, Shadow("d", 10), "There is no variant 'd'. The variants are a, b, c."),
        ({"a": 100}, Shadow("b", 0), "The sample must be more than 0 and at most 100 percent, not 0."),
        ({"a": 100}, Shadow("b", 101), "The sample must be more than 0 and at most 100 percent, not 101."),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    shares: dict[str, float], shadow: Shadow | None, sentence: str
) -> None:
    with pytest.raises(SplitError) as refused:
        make_split("weighted", shares, NAMES, shadow)
    assert str(refused.value) == sentence


def test_a_change_moves_no_more_users_than_it_must() -> None:
    draw = random.Random(7)
    split = make_split("sticky", {"a": 100}, NAMES)
    for _ in range(50):
        cuts = sorted(draw.sample(range(10_001), 2))
        shares = {
            name: (high - low) / 100 for name, (low, high) in zip(NAMES, pairwise([0, *cuts, 10_000]), strict=True)
        }
        changed = make_split("sticky", shares, NAMES, before=split)
        owners, owners_before = _owners(changed), _owners(split)
        moved = sum(now != then for now, then in zip(owners, owners_before, strict=True))
        losses = sum(max(0, round(100 * (split.shares[name] - changed.shares[name]))) for name in NAMES)

        assert moved == losses
        assert {name: owners.count(name) for name in NAMES} == {n: round(100 * s) for n, s in shares.items()}
        split = changed


def test_users_come_back_to_the_variant_they_had() -> None:
    sticky = make_split("sticky", {"a": 70, "c": 30}, NAMES)
    between = make_split("round_robin", {}, NAMES, before=sticky)

    assert make_split("sticky", {"a": 70, "c": 30}, NAMES, before=between).segments == sticky.segments


def test_a_variant_that_is_no_more_leaves_its_users_to_others() -> None:
    before = make_split("sticky", {"a": 50, "b": 50}, NAMES)

    assert make_split("sticky", {"a": 60, "c": 40}, ["a", "c"], before=before).segments == (("a", 60.0), ("c", 40.0))


def test_a_split_survives_its_state_file() -> None:
    split = make_split("sticky", {"a": 80, "b": 20}, NAMES, Shadow("b", 25), make_split("round_robin", {}, NAMES))

    assert Split.from_json(split.as_json()) == split
    assert str(split) == "sticky a=80 b=20 c=0, 25 % shadowed by b"
    assert split.epoch == 2
