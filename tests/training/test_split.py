from collections import Counter
from pathlib import Path

import pytest

from training.photos import Photo, shares, split

_SIZES = {(0, "web"): 400, (0, "shop"): 100, (1, "web"): 300, (2, "web"): 300, (2, "shop"): 20}
_PHOTOS = [Photo(Path(f"{source}_{i:04}.jpg"), label) for (label, source), size in _SIZES.items() for i in range(size)]


def test_of_every_class_and_source_a_tenth_validates() -> None:
    trains, validates = split(_PHOTOS, range(len(_PHOTOS)))
    held = Counter((_PHOTOS[place].label, _PHOTOS[place].source) for place in validates)
    assert held == {kind: size // 10 for kind, size in _SIZES.items()}
    assert sorted(trains + validates) == list(range(len(_PHOTOS)))


def test_a_group_is_on_one_side() -> None:
    groups = [index // 3 for index in range(len(_PHOTOS))]
    trains, validates = split(_PHOTOS, groups)
    assert not {groups[place] for place in trains} & {groups[place] for place in validates}
    assert len(validates) > 100


def test_the_names_alone_decide() -> None:
    moved = [Photo(Path("/elsewhere") / photo.path, photo.label) for photo in reversed(_PHOTOS)]
    sides = [{photos[place].name for place in split(photos, range(len(photos)))[1]} for photos in (_PHOTOS, moved)]
    assert sides[0] == sides[1]


def test_what_was_set_aside_before_is_set_aside_again_with_its_group() -> None:
    groups = [index // 2 for index in range(len(_PHOTOS))]
    trains, validates = split(_PHOTOS, groups, [_PHOTOS[0], _PHOTOS[9]])
    assert validates == [0, 1, 8, 9]
    assert len(trains) == len(_PHOTOS) - 4


def test_classes_weigh_the_same_and_sources_by_the_root_of_their_groups() -> None:
    groups = [index // 4 if photo.source == "shop" else 10_000 + index for index, photo in enumerate(_PHOTOS)]
    sums: Counter[tuple[int, str]] = Counter()
    for photo, weight in zip(_PHOTOS, shares(_PHOTOS, groups), strict=True):
        sums[photo.label, photo.source] += weight  # type: ignore[assignment]
    assert sums[1, "web"] == pytest.approx(1)
    assert sums[0, "web"] + sums[0, "shop"] == pytest.approx(1)
    assert sums[0, "web"] / sums[0, "shop"] == pytest.approx((400 / 25) ** 0.5)
