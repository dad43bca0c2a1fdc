import pytest
import torch
from torch import Generator
from torch.nn import functional

from training import train
from training.photos import normalise
from training.trainee import Trainee, in_blocks


def test_folded_it_answers_the_same() -> None:
    photos = torch.randn(6, 3, 150, 150)
    trainee = Trainee()
    for _ in range(3):
        trainee(functional.pixel_unshuffle(photos * 2 + 0.3, 2))
    trainee.eval()
    with torch.inference_mode():
        answers = trainee(functional.pixel_unshuffle(photos, 2))
        torch.testing.assert_close(trainee.folded()(photos), answers, rtol=1e-4, atol=1e-4)


def test_every_part_learns() -> None:
    trainee = Trainee()
    trainee(torch.randn(4, 12, 75, 75)).square().sum().backward()
    assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in trainee.parameters())


def test_shifted_photos_are_the_photos_moved_and_flipped(monkeypatch: pytest.MonkeyPatch) -> None:
    photos = torch.randint(0, 256, (2, 150, 150, 3), dtype=torch.uint8)
    monkeypatch.setattr(torch, "randint", lambda *_args, **_kwargs: torch.tensor([[[1], [0]], [[0], [-2]]]))
    first, second = train._shifted(in_blocks(photos), torch.tensor([0, 1]), Generator())
    flipped, plain = (
        functional.pixel_unshuffle(normalise(photo.unsqueeze(0)), 2)[0] for photo in (photos[0].flip(1), photos[1])
    )
    torch.testing.assert_close(first[:, :-1], flipped[:, 1:])
    torch.testing.assert_close(second[..., 2:], plain[..., :-2])
