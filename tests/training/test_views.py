import torch

from tests.training.conftest import Orchard
from training.photos import SIDE, find
from training.views import draw


def test_views_have_shape_range_and_seed(orchard: Orchard) -> None:
    photos = find(orchard(4))
    views = draw(photos, 3)
    assert views.shape == (12, SIDE, SIDE, 3)
    assert views.dtype == torch.uint8
    assert torch.equal(views, draw(photos, 3))
    assert not torch.equal(views, draw(photos, 4))
    assert views.float().std((1, 2, 3)).median() > 10
