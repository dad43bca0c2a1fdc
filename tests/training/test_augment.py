from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Generator

from tests.training.conftest import Orchard
from training.album import CANVAS, Album, open_album
from training.augment import Augmenter, mix
from training.photos import SIDE, Photo, find


@pytest.fixture
def album(orchard: Orchard) -> Album:
    return open_album(find(orchard(4)))


def test_an_album_trims_margins_and_cuts_fruit_out(album: Album) -> None:
    assert album.canvas.shape == (12, 4, CANVAS, CANVAS)
    assert album.extent.amax(1).tolist() == [1.0] * 12
    shops, webs = slice(0, None, 4), slice(1, 4)
    assert not album.isolated[shops].any()
    assert album.isolated[webs].any()
    cut = album.canvas[:, 3][album.isolated] > 128
    assert (cut.float().mean((1, 2)) > 0.1).all()
    white = album.canvas[:, :3][album.isolated].amin(1) > 240
    assert (cut & white).float().mean() < 0.01


def test_classes_weigh_the_same_and_sources_by_the_root_of_their_size(album: Album) -> None:
    assert [float(album.weights[album.labels == label].sum()) for label in range(3)] == pytest.approx([1, 1, 1])
    shop, web = float(album.weights[0]), float(album.weights[1:4].sum())
    assert web / shop == pytest.approx(3**0.5)


def test_a_captioned_photo_is_no_cut_out(tmp_path: Path) -> None:
    image = Image.new("RGB", (104, 128), "white")
    image.paste("green", (0, 20, 104, 90))
    image.paste("black", (20, 118, 90, 120))
    image.save(tmp_path / "web_0.png")
    album = open_album([Photo(tmp_path / "web_0.png", 0)])
    assert album.extent[0].tolist() == pytest.approx([1, 100 / 104], abs=0.01)
    assert not album.isolated.any()


def test_views_have_shape_range_and_seed(album: Album) -> None:
    views, labels = Augmenter(album, 3).draw(24)
    assert views.shape == (24, SIDE, SIDE, 3)
    assert views.dtype == torch.uint8
    assert set(labels.tolist()) == {0, 1, 2}
    again, same = Augmenter(album, 3).draw(24)
    assert torch.equal(views, again)
    assert torch.equal(labels, same)
    assert not torch.equal(views, Augmenter(album, 4).draw(24)[0])
    assert views.float().std((1, 2, 3)).median() > 10


@pytest.mark.parametrize("seed", range(6))
def test_mixing_keeps_probabilities_and_range(seed: int) -> None:
    photos = torch.rand(6, 3, 20, 20)
    targets = torch.eye(3)[[0, 1, 2, 0, 1, 2]]
    mixed, blended = mix(photos, targets, Generator().manual_seed(seed), 1.0)
    assert mixed.shape == photos.shape
    assert 0 <= float(mixed.min()) <= float(mixed.max()) <= 1
    assert blended.sum(1).tolist() == pytest.approx([1.0] * 6)
    assert not torch.equal(blended, targets)


def test_mixing_may_leave_a_batch_alone() -> None:
    photos, targets = torch.rand(2, 3, 8, 8), torch.eye(2)
    same, also = mix(photos, targets, Generator(), 0.0)
    assert same is photos
    assert also is targets
