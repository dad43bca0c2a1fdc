import random
from collections import Counter
from pathlib import Path

from training.photos import Photo
from training.split import VALIDATION, split


def _photos() -> list[Photo]:
    sizes = {(0, "web"): 400, (0, "shop"): 100, (1, "web"): 300, (2, "web"): 300, (2, "shop"): 20}
    return [Photo(Path(f"{source}_{i:04}.jpg"), label) for (label, source), size in sizes.items() for i in range(size)]


def test_every_class_and_source_is_split_alike() -> None:
    photos = _photos()
    training, validation = split(photos)
    everything, held = (Counter((p.label, p.source) for p in part) for part in (photos, validation))
    assert held == {group: round(VALIDATION * size) for group, size in everything.items()}
    assert sorted(training + validation) == sorted(photos)


def test_the_split_depends_on_names_alone() -> None:
    photos = _photos()
    moved = [Photo(Path("/elsewhere") / photo.path, photo.label) for photo in photos]
    random.Random(1).shuffle(moved)
    assert {p.path.name for p in split(photos)[1] if p.label == 0} == {
        p.path.name for p in split(moved)[1] if p.label == 0
    }


def test_the_split_has_not_changed() -> None:
    photos = [Photo(Path(f"web_{i:04}.jpg"), 0) for i in range(20)]
    assert [photo.path.name for photo in split(photos)[1]] == ["web_0004.jpg", "web_0012.jpg", "web_0018.jpg"]
