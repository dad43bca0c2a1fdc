"""Right and wrong answers, and how far their probabilities may be believed, on photos from elsewhere."""

from collections.abc import Mapping

import torch
from scipy.optimize import minimize_scalar
from sklearn.metrics import accuracy_score, recall_score
from torch import Tensor
from torch.nn import functional

from training.photos import CLASSES

__all__ = ["Said", "calibration", "table", "temperature"]

_WRONG = 0.03
Said = tuple[Tensor, Tensor]  # logits (N, classes) for photos of labels (N,)


def calibration(logits: Tensor, labels: Tensor) -> tuple[float, float, float]:
    """The expected calibration error in 15 bins (C. Guo et al., On Calibration, 2017, §2), and what is said at ≥ 0.9:

    which share of the answers that is, and which share of these is wrong.
    """
    given, answers = functional.softmax(logits, 1).max(1)
    wrong = (answers != labels).float()
    gaps = torch.zeros(15).index_add(0, (given * 15).long().clamp(max=14), 1 - wrong - given)
    sure = given >= 0.9
    return float(gaps.abs().sum() / len(labels)), float(sure.float().mean()), float(wrong[sure].mean())


def temperature(*said: Said) -> float:
    """The likeliest divisor of logits (Guo et al., §4.2), sources alike, with ≤ 3 % wrong of what is said at ≥ 0.9."""
    some = [(logits, labels) for logits, labels in said if len(labels)]

    def loss(exponent: float) -> float:
        return float(sum(functional.cross_entropy(logits / 10**exponent, labels) for logits, labels in some))

    divisor = float(10 ** minimize_scalar(loss, bounds=(-1, 1), method="bounded").x) if some else 1.0
    while torch.tensor([calibration(logits / divisor, labels)[2] for logits, labels in some]).nanmean() > _WRONG:
        divisor *= 1.02
    return divisor


def table(said: Mapping[str, Said]) -> str:
    """Markdown: a row for each source that was left out, its figures at the temperature of the others."""
    names = [*CLASSES, "calibration error", "at ≥ 0.9", "of these wrong"]
    lines = ["| left out | photos | accuracy | " + " | ".join(names) + " |", "| --- |" + " ---: |" * (2 + len(names))]
    rows = []
    for source, (logits, labels) in said.items():
        answers, others = logits.argmax(1), [pair for other, pair in said.items() if other != source]
        recalls = recall_score(labels, answers, labels=range(len(CLASSES)), average=None, zero_division=float("nan"))
        trust = calibration(logits / temperature(*others), labels)
        rows.append([accuracy_score(labels, answers), *recalls, *trust])
        lines.append(_line(source, len(labels), rows[-1]))
    total = sum(len(labels) for _, labels in said.values())
    return "\n".join([*lines, _line("mean", total, torch.tensor(rows).nanmean(0).tolist())])


def _line(name: str, count: int, figures: list[float]) -> str:
    return f"| {name} | {count} | " + " | ".join("–" if x != x else f"{x:.3f}" for x in figures) + " |"  # noqa: PLR0124
