from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from serving.variant import listed
from tests.training.conftest import Orchard
from training import evaluate
from training.evaluate import Score, compare, score, scorer, served_and_reference
from training.photos import CLASSES, SIDE, find
from training.proxies import CONDITIONS, view
from training.split import split


def _by_first_pixel(pixels: Tensor) -> Tensor:
    return torch.eye(3)[pixels[:, 0, 0, 0].long()]


def test_a_fake_scorer_is_counted() -> None:
    pixels = torch.zeros(6, SIDE, SIDE, 3, dtype=torch.uint8)
    pixels[:, 0, 0, 0] = torch.tensor([0, 0, 1, 1, 1, 2])
    result = score(_by_first_pixel, pixels, [0, 0, 0, 1, 1, 2], batch=4)
    assert result.confusion.tolist() == [[2, 1, 0], [0, 2, 0], [0, 0, 1]]
    assert result.accuracy == pytest.approx(5 / 6)
    assert result.table().splitlines()[2:] == [
        "| apple | 3 | 1.000 | 0.667 | 0.800 | 2 | 1 | 0 |",
        "| grapes | 2 | 0.667 | 1.000 | 0.800 | 0 | 2 | 0 |",
        "| lemon | 1 | 1.000 | 1.000 | 1.000 | 0 | 0 | 1 |",
    ]


def test_ratios_without_photos_are_zero() -> None:
    rows = Score(torch.tensor([[2, 0, 0], [0, 0, 0], [1, 0, 0]])).classes
    assert rows[1] == ("grapes", 0.0, 0.0, 0.0, 0)
    assert rows[2] == ("lemon", 0.0, 0.0, 0.0, 1)


def test_a_model_scores_probabilities() -> None:
    class Constant(nn.Module):
        def forward(self, photos: Tensor) -> Tensor:
            return torch.tensor([[0.0, 1.0, 2.0]]).expand(len(photos), -1)

    answers = scorer(Constant())(torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8))
    assert answers.sum(1).tolist() == pytest.approx([1, 1])
    assert answers.argmax(1).tolist() == [2, 2]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_is_the_same_at_every_call(orchard: Orchard, condition: str) -> None:
    photos = find(orchard(2))
    seen = view(photos, condition)
    assert seen.shape == (6, SIDE, SIDE, 3)
    assert torch.equal(seen, view(photos, condition))


def test_what_is_served_is_compared_with_the_reference() -> None:
    served = torch.tensor([[0.8, 0.1, 0.1], [0.4, 0.5, 0.1], [0.2, 0.2, 0.6]])
    reference = torch.tensor([[0.9, 0.05, 0.05], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6]])
    result = compare(served, reference, [0, 0, 2])
    assert (result.served.accuracy, result.reference.accuracy) == pytest.approx((2 / 3, 1))
    assert result.same == pytest.approx(2 / 3)
    assert result.difference == pytest.approx(0.4 / 9)


@pytest.mark.parametrize("name", ["custom", "vgg16"])
def test_the_answers_served_are_the_references(fruits: Path, name: str) -> None:
    photos = split(find(fruits))[1][::8]
    _, served, reference = served_and_reference(listed(Path(f"app_{name}")), photos)
    result = compare(served, reference, [photo.label for photo in photos])
    assert len(photos) > 50
    assert result.same >= 0.98
    assert result.difference <= 0.02
    assert abs(result.served.accuracy - result.reference.accuracy) <= 0.02


def test_the_command_scores_every_variant_as_it_is_served(orchard: Orchard, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate.main([str(orchard(4)), "--all"])
    printed = capsys.readouterr().out
    for name in ("custom", "vgg16"):
        assert f"{name} (starter.safetensors, openvino " in printed
    assert printed.count("| class | photos |") == 2
    assert printed.count("on 12 photos") == 2
    assert printed.count("Against PyTorch in float32 on fully decoded photos") == 2
    assert all(name in printed for name in CLASSES)


def test_too_few_photos_are_said(orchard: Orchard, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        evaluate.main([str(orchard(1))])
    assert "--all takes them all" in capsys.readouterr().err
