"""Right and wrong answers, class by class, and how far their probabilities may be believed."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from training.photos import CLASSES

__all__ = ["Calibration", "Score", "calibration", "count", "temperature"]

_BINS = 15
_SURE = 0.9


class Score(NamedTuple):
    """``confusion`` ``(classes, classes)`` counts photos by true class (row) and answer (column)."""

    confusion: Tensor

    @property
    def accuracy(self) -> float:
        return float(self.confusion.diag().sum() / self.confusion.sum())

    @property
    def recalls(self) -> list[float]:
        """Of each class, which share was told; not a number where there are none of it."""
        return list((self.confusion.diag() / self.confusion.sum(1)).tolist())

    def table(self) -> str:
        """A row of Markdown for each true class, with the counts of answers."""
        lines = ["| class | photos | recall | " + " | ".join(f"answered {name}" for name in CLASSES) + " |"]
        lines.append("| --- |" + " ---: |" * (2 + len(CLASSES)))
        for name, recall, row in zip(CLASSES, self.recalls, self.confusion.tolist(), strict=True):
            lines.append(f"| {name} | {sum(row)} | {recall:.3f} | " + " | ".join(map(str, row)) + " |")
        return "\n".join(lines)


class Calibration(NamedTuple):
    """``error``: the expected calibration error in 15 bins (C. Guo et al., On Calibration, 2017, §2).

    ``sure`` is the share of answers given at 0.9 or more, ``wrong`` the share of these that are wrong.
    """

    error: float
    sure: float
    wrong: float


def count(answers: Tensor, labels: Sequence[int]) -> Score:
    """The score of ``answers`` ``(N,)`` to photos of ``labels``."""
    size = len(CLASSES)
    return Score(torch.bincount(torch.tensor(labels) * size + answers, minlength=size * size).view(size, size))


def calibration(logits: Tensor, labels: Tensor) -> Calibration:
    """Of ``logits`` ``(N, classes)`` for photos of ``labels`` ``(N,)``."""
    given, answers = functional.softmax(logits, 1).max(1)
    right = (answers == labels).float()
    gaps = torch.zeros(_BINS).index_add(0, (given * _BINS).long().clamp(max=_BINS - 1), right - given)
    sure = given >= _SURE
    wrong = float((1 - right)[sure].sum() / sure.sum())
    return Calibration(float(gaps.abs().sum() / len(labels)), float(sure.float().mean()), wrong)


def temperature(logits: Tensor, labels: Tensor, shares: Tensor | None = None) -> float:
    """The divisor of ``logits`` at which the photos, by ``shares`` ``(N,)``, are likeliest (Guo et al., §4.2)."""
    weights = torch.ones(len(labels)) if shares is None else shares
    candidates = torch.logspace(-1, 1, 401).tolist()
    losses = [functional.cross_entropy(logits / c, labels, reduction="none") @ weights for c in candidates]
    return float(candidates[int(torch.stack(losses).argmin())])
