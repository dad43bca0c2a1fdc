from typing import Any

import kornia.augmentation as kornia
import numpy as np
import pytest
import torch

from tests.training.conftest import Orchard
from training import bank
from training.photos import MEAN, SIDE, STD, find, load, pixels


def test_views_have_shape_range_and_seed(orchard: Orchard) -> None:
    photos = find(orchard(4))
    views = bank.drawn(photos, 3)
    assert views.shape == (12, SIDE, SIDE, 3)
    assert views.dtype == torch.uint8
    assert torch.equal(views, bank.drawn(photos, 3))
    assert not torch.equal(views, bank.drawn(photos, 4))
    assert views.float().std((1, 2, 3)).median() > 10


def test_what_was_made_before_it_was_stopped_is_not_made_again(
    orchard: Orchard, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, drawn = find(orchard(12)), bank.drawn
    begun: list[int] = []

    def stop(some: Any, seed: int) -> Any:
        begun.append(seed)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return drawn(some, seed)

    monkeypatch.setattr(bank, "drawn", stop)
    with pytest.raises(KeyboardInterrupt):
        bank.seen(photos, 1)
    views = bank.seen(photos, 1)
    assert begun == [0, 32, 32]
    assert views.shape == (72, SIDE, SIDE, 3)
    assert torch.equal(torch.tensor(views[0]), pixels(load(photos[0].path)))
    assert torch.equal(torch.tensor(views[68:]), drawn(photos[32:], 32))


def test_other_changes_make_other_views(orchard: Orchard, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = find(orchard(2))
    views = bank.seen(photos, 1)
    assert np.array_equal(bank.seen(photos, 1), views)
    whole = kornia.RandomResizedCrop((SIDE, SIDE), (1.0, 1.0), (1.0, 1.0))
    monkeypatch.setattr(bank, "_CHANGES", kornia.AugmentationSequential(whole))
    assert not np.array_equal(bank.seen(photos, 1), views)


def test_photos_are_normalised_and_maps_are_not() -> None:
    values = bank.prepared(np.full((2, 4, 5, 3), 255, np.uint8))
    assert values.shape == (2, 3, 4, 5)
    assert values[0, :, 0, 0].tolist() == pytest.approx([(1 - m) / s for m, s in zip(MEAN, STD, strict=True)])
    assert bank.prepared(np.full((2, 4, 5, 3), 0.5, np.float16)).flatten().tolist() == [0.5] * 120
