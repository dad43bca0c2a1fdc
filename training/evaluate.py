"""How good the weights in place are, as they are served: ``python -m training.evaluate PHOTOS`` scores every variant.

By default on the validation photos, and on those as they might come from elsewhere.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from serving.models.engine import open_engine, open_reference
from serving.models.files.choice import choose
from serving.models.files.folder import Folder
from serving.models.networks.opening import code
from serving.models.networks.weights import load as load_weights
from serving.photos.decode import decode
from serving.photos.pixels import to_pixels
from serving.settings import Settings
from serving.variant import listed
from training import starter
from training.photos import CLASSES, Photo, find, load, normalise, pixels
from training.proxies import CONDITIONS, view
from training.split import split
from variants import VARIANTS

__all__ = [
    "Agreement",
    "Score",
    "Scorer",
    "compare",
    "count",
    "main",
    "report",
    "score",
    "scorer",
    "served_and_reference",
]

Scorer = Callable[[Tensor], Tensor]
"""uint8 photos ``(N, 150, 150, 3)`` to probabilities ``(N, classes)``."""


class Score(NamedTuple):
    """``confusion`` ``(classes, classes)`` counts photos by true class (row) and answer (column)."""

    confusion: Tensor

    @property
    def accuracy(self) -> float:
        return float(self.confusion.diag().sum() / self.confusion.sum())

    @property
    def classes(self) -> list[tuple[str, float, float, float, int]]:
        """Name, precision, recall, F1 and number of photos of each class; 0 where a ratio is undefined."""
        rows = []
        for index, name in enumerate(CLASSES):
            right = float(self.confusion[index, index])
            given, true = float(self.confusion[:, index].sum()), float(self.confusion[index].sum())
            precision, recall = right / given if given else 0.0, right / true if true else 0.0
            f1 = 2 * precision * recall / (precision + recall) if right else 0.0
            rows.append((name, precision, recall, f1, int(true)))
        return rows

    def table(self) -> str:
        """The figures as a table of Markdown: a row for each true class, with the counts of answers."""
        answers = " | ".join(f"answered {name}" for name in CLASSES)
        lines = [
            f"| class | photos | precision | recall | F1 | {answers} |",
            "| --- |" + " ---: |" * (4 + len(CLASSES)),
        ]
        for (name, precision, recall, f1, count), row in zip(self.classes, self.confusion.tolist(), strict=True):
            counts = " | ".join(str(number) for number in row)
            lines.append(f"| {name} | {count} | {precision:.3f} | {recall:.3f} | {f1:.3f} | {counts} |")
        return "\n".join(lines)


def score(scorer: Scorer, pixels: Tensor, labels: Sequence[int], batch: int = 64) -> Score:
    """Asks ``scorer`` about every photo."""
    return count(torch.cat([scorer(part).argmax(1) for part in torch.split(pixels, batch)]), labels)


def count(answers: Tensor, labels: Sequence[int]) -> Score:
    """The score of ``answers`` ``(N,)`` to photos of ``labels``."""
    size = len(CLASSES)
    return Score(torch.bincount(torch.tensor(labels) * size + answers, minlength=size * size).view(size, size))


def scorer(model: nn.Module) -> Scorer:
    """``model`` as a scorer, in bfloat16: three times as fast; about one photo in 500 gets another class."""

    def probabilities(pixels: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            return functional.softmax(model(normalise(pixels)).float(), 1)

    return probabilities


def report(name: str, scorer: Scorer, photos: Sequence[Photo], conditions: Sequence[str]) -> str:
    """The accuracy under each condition."""
    labels = [photo.label for photo in photos]
    results = ((condition, score(scorer, view(photos, condition), labels)) for condition in conditions)
    return "\n".join(f"{name}: accuracy {result.accuracy:.4f} {condition}" for condition, result in results)


class Agreement(NamedTuple):
    """How what is served compares with the reference, PyTorch in float32 on photos decoded in full.

    ``served`` and ``reference`` are the scores of the two; ``same`` is the share of photos of which both say the same,
    ``difference`` the mean distance of their probabilities.
    """

    served: Score
    reference: Score
    same: float
    difference: float


def compare(served: Tensor, reference: Tensor, labels: Sequence[int]) -> Agreement:
    """Of probabilities ``(N, classes)``."""
    answers, expected = served.argmax(1), reference.argmax(1)
    same = float((answers == expected).float().mean())
    return Agreement(count(answers, labels), count(expected, labels), same, float((served - reference).abs().mean()))


def served_and_reference(folder: Folder, photos: Sequence[Photo]) -> tuple[str, Tensor, Tensor]:
    """What ``folder`` serves with the weights in place, in words, and both engines' probabilities ``(N, classes)``."""
    model, settings = choose(folder), Settings()
    engine, reference = open_engine(folder, model, settings), open_reference(folder, model, settings)
    answers, expected, seen = [], [], engine.input.view
    for photo in photos:
        answers.append(engine.score(to_pixels(decode(photo.path.read_bytes(), settings.max_pixels, seen.side), seen)))
        expected.append(reference.score(pixels(load(photo.path)).numpy()))
    what = f"{model.file}, {engine.description}"
    return what, torch.from_numpy(np.stack(answers)), torch.from_numpy(np.stack(expected))


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path, help="a folder with a folder of photos for each class")
    parser.add_argument("--all", action="store_true", help="all photos, not the validation photos only; as they are")
    given = parser.parse_args(arguments)
    photos = find(given.photos)
    photos = photos if given.all else split(photos)[1]
    if not photos:
        parser.error(f"too few photos in {given.photos} to set some aside; --all takes them all")
    for variant in VARIANTS:
        folder = listed(Path(variant.service))
        what, served, reference = served_and_reference(folder, photos)
        result = compare(served, reference, [photo.label for photo in photos])
        print(f"{variant.name} ({what}): accuracy {result.served.accuracy:.4f} on {len(photos)} photos\n")
        print(f"{result.served.table()}\n")
        print(
            f"Against PyTorch in float32 on fully decoded photos: accuracy {result.reference.accuracy:.4f} there, "
            f"the same class on {result.same:.2%}, probabilities {result.difference:.4f} apart on average.\n"
        )
        if not given.all:
            model = load_weights(choose(folder).weights.path, code(folder).build)
            starter.channels_last(model)
            print(report(variant.name, scorer(model), photos, list(CONDITIONS)[1:]) + "\n", flush=True)


if __name__ == "__main__":
    main()
