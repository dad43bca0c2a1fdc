"""Trains a variant's weights on folders of photos: ``python -m training.train app_mine PHOTOS``.

``PHOTOS`` holds a folder for each class. The network starts from the variant's own weights, from a file, or from
nothing; its first modules may stay frozen, and then are computed once for each view; and it may learn another variant's
answers (distillation). Stopped and given again, the same command goes on where it was.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import kornia.augmentation as kornia
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training import bank, duplicates, network
from training.learning import History, Lesson, learn
from training.photos import CLASSES, Photo, find
from training.score import count, temperature
from training.split import shares, split

__all__ = ["VIEWS", "again", "main", "without"]

VIEWS = 3000
_SMOOTHING = 0.05
_SOFTENING = 2.0


def without(app: str, sources: str) -> Path:
    """Where the weights of ``app`` lie that were trained without ``sources``, separated by commas."""
    return bank.CACHE / app / f"without-{sources}.safetensors"


def again(photos: Sequence[Photo], count: int, seed: int) -> list[int]:
    """Places of the ``count`` photos of which a random view is drawn."""
    random = torch.Generator().manual_seed(seed)
    return torch.multinomial(torch.tensor(shares(photos, range(len(photos)))), count, True, generator=random).tolist()


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    given = _options().parse_args(arguments)
    out = given.out or (without(given.app, given.without) if given.without else network.starter(given.app))
    photos = find(given.photos)
    groups = duplicates.groups([photo.path for photo in photos])
    state, facts = ({}, {}) if given.fresh else network.open_weights(given.start or network.starter(given.app))
    trains, validates = split(photos, groups, facts.get("validation", ()))
    left_out = given.without.split(",") if given.without else []
    barred = {group for photo, group in zip(photos, groups, strict=True) if photo.source in left_out}
    trains, tested = ([place for place in side if groups[place] not in barred] for side in (trains, validates))
    print(f"{len(trains)} photos train, {len(tested)} validate; classes: {', '.join(CLASSES)}")

    more = again(photos, given.views, given.seed)
    shown = np.array([*range(len(photos)), *more])
    views = bank.seen(photos, more, given.seed)
    torch.manual_seed(given.seed)
    net = network.fresh(given.app)
    learnt = network.start(net, state)
    freeze = facts.get("frozen", 0) if given.freeze is None else given.freeze
    network.insert_norms(net, learnt)
    trunk = network.cut(net, freeze)
    inputs = bank.mapped(trunk, views)

    labels = torch.tensor([photo.label for photo in photos])
    targets = functional.one_hot(labels[shown], len(CLASSES)) * (1 - _SMOOTHING) + _SMOOTHING / len(CLASSES)
    if given.teacher:
        taught = functional.softmax(_taught(given.teacher, given.without, views) / _SOFTENING, 1)
        targets = 0.8 * taught + 0.2 * targets
    drawn = np.zeros(len(photos))
    drawn[trains] = shares([photos[place] for place in trains], [groups[place] for place in trains])
    drawn /= np.bincount(shown, minlength=len(photos))

    def accuracy(tried: nn.Module) -> float:
        return float((bank.answered(tried, inputs[tested]).argmax(1) == labels[tested]).float().mean())

    altered: nn.Module = nn.Identity() if freeze else _moved()
    lesson = Lesson(inputs, targets, torch.from_numpy(drawn[shown]), altered, given.steps, given.batch, given.rate)
    job = bank.CACHE / given.app / bank.digest(*sorted(vars(given).items()), *(photo.name for photo in photos))
    job.mkdir(parents=True, exist_ok=True)
    trained, history = learn(net, learnt, lesson, accuracy, job / "checkpoint.pt")
    network.blend(trained, state, given.blend)
    logits = bank.answered(trained, inputs[tested])
    divisor = given.temperature or temperature(logits, labels[tested])
    network.fold_norms(trained)
    network.fold_temperature(trained, divisor)
    network.join(trunk, trained)
    held = [photos[place].name for place in validates]
    network.write(trained, out, {"frozen": freeze, "temperature": divisor, "without": left_out, "validation": held})
    _curve(history, job / "curve.png")
    right = count(logits.argmax(1), labels[tested].tolist()).accuracy
    print(f"{right:.3f} of the validation photos are right; temperature {divisor:.2f}")
    print(f"Written: {out}, and how it went: {job / 'curve.png'}")


def _taught(teacher: str, left_out: str | None, views: NDArray[Any]) -> Tensor:
    """The teacher's logits for ``views``; where a source is left out, those of the teacher that did without it."""
    state, facts = network.open_weights(without(teacher, left_out) if left_out else network.starter(teacher))
    net = network.fresh(teacher)
    network.start(net, state)
    trunk = network.cut(net, facts.get("frozen", 0))
    return bank.answered(net, bank.mapped(trunk, views))


def _moved() -> nn.Module:
    """What may happen to a view each time it is used."""
    moved = kornia.RandomAffine(0.0, translate=(0.08, 0.08), padding_mode="border")
    return kornia.AugmentationSequential(kornia.RandomHorizontalFlip(), moved)


def _curve(history: History, file: Path) -> None:
    steps, losses, right = zip(*history, strict=True)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(steps, losses, color="tab:blue")
    axes.set(xlabel="step", ylabel="training loss")
    beside = axes.twinx()
    beside.plot(steps, right, color="tab:orange")
    beside.set(ylabel="accuracy on validation photos", ylim=(0, 1))
    figure.savefig(file)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("app", help="the variant's folder, such as app_custom")
    parser.add_argument("photos", type=Path, help="a folder with a folder of photos for each class")
    parser.add_argument("--start", type=Path, help="safetensors to start from (default: the variant's own)")
    parser.add_argument("--fresh", action="store_true", help="start from nothing")
    parser.add_argument(
        "--freeze", type=int, help="how many modules of `features` stay (default: as its own were made)"
    )
    parser.add_argument("--teacher", metavar="APP", help="a variant whose answers are learnt")
    parser.add_argument("--views", type=int, default=VIEWS, help="how many random views are drawn, beside the photos")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-3, help="the rate of what starts from nothing")
    parser.add_argument("--blend", type=float, default=1.0, help="how much of what is learnt to keep, over the start")
    parser.add_argument("--temperature", type=float, help="divides the logits (default: from the validation photos)")
    parser.add_argument("--without", metavar="SOURCE,…", help="leave these sources out, to test on them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="default: the variant's starter weights")
    return parser


if __name__ == "__main__":
    try:
        main()
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
