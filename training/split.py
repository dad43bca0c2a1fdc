"""Which photos train and which validate, and how often each is drawn."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from training.photos import CLASSES, Photo

__all__ = ["VALIDATION", "shares", "split"]

VALIDATION = 0.1


def split(photos: Sequence[Photo], groups: Sequence[int], known: Collection[str] = ()) -> tuple[list[int], list[int]]:
    """Places in ``photos`` that train, and that validate.

    Of every class and source at most the ``VALIDATION`` share, and no group is on both sides. The names alone decide;
    where photos ``known`` by name were set aside before, it is those again, and what shows the same.
    """
    kept = {group for photo, group in zip(photos, groups, strict=True) if photo.name in known}
    if kept:
        sides = [[place for place, group in enumerate(groups) if (group in kept) == held] for held in (False, True)]
        return sides[0], sides[1]
    members: defaultdict[int, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        members[group].append(place)
    kinds = [(photo.label, photo.source) for photo in photos]
    room = Counter({kind: round(VALIDATION * size) for kind, size in Counter(kinds).items()})
    ranks = [hashlib.sha256(photo.name.encode()).digest() for photo in photos]
    held: set[int] = set()
    for together in sorted(members.values(), key=lambda together: min(ranks[place] for place in together)):
        wanted = Counter(kinds[place] for place in together)
        if wanted <= room:
            held.update(together)
            room -= wanted
    return [place for place in range(len(photos)) if place not in held], sorted(held)


def shares(photos: Sequence[Photo], groups: Sequence[int]) -> list[float]:
    """How often to draw each: classes alike, in them sources by the root of their groups, in these groups alike.

    So neither a large source nor many frames of one fruit decide what a class looks like.
    """
    kinds = [(photo.label, photo.source) for photo in photos]
    sizes = Counter(zip(kinds, groups, strict=True))
    counts = Counter(kind for kind, _ in sizes)
    totals = [sum(count**0.5 for (of, _), count in counts.items() if of == label) for label in range(len(CLASSES))]
    pairs = zip(kinds, groups, strict=True)
    return [counts[kind] ** -0.5 / sizes[kind, group] / totals[kind[0]] for kind, group in pairs]
