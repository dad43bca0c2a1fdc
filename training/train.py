"""Trains a variant's weights on folders of photos: ``python -m training.train app_mine PHOTOS``."""

import sys
from pathlib import Path
from typing import Annotated

import joblib
import kornia.augmentation as kornia
import torch
import typer
from matplotlib.figure import Figure
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from training import bank, duplicates, network
from training.learning import learn
from training.photos import CLASSES, find, shares, split
from training.score import table, temperature

__all__ = ["main"]

_BATCH = 64
_SMOOTHING = 0.05
_SOFTENING = 2.0


def main(
    app: str,
    folder: Path,
    start: Path | None = None,
    freeze: int = 0,
    teacher: str = "",
    views: Annotated[int, typer.Option(min=1)] = 1,
    steps: int = 1000,
    rate: float = 3e-4,
    without: str = "",
    out: Path | None = None,
) -> None:
    """Trains the variant in the folder APP on FOLDER, which holds a folder of photos for each class.

    It starts from its own weights, if there are, or --start. The first --freeze modules of `features` stay, and are
    computed once. --teacher names a variant whose answers are learnt (distillation). Beside each photo --views random
    views of it are drawn from. --without SHOP,WEB leaves these sources out and asks about them at the end, which
    predicts photos from elsewhere, and gives the temperature of later weights. These go to --out, by default the
    variant's starter. Stopped and given again, it goes on. Where there is a GPU, it is used.
    """
    own = network.starter(app)
    # The variant's own weights have seen what is to be left out.
    start = start or (own if own.exists() and not without else None)
    elsewhere = bank.CACHE / app / f"without-{without}.safetensors"
    out = out or (elsewhere if without else own)
    torch.manual_seed(0)
    net = network.fresh(app)
    network.start(net, load_file(start) if start else {})
    photos = find(folder)
    groups = duplicates.groups([photo.path for photo in photos])
    trains, validates = split(photos, groups, network.aside(photos, own))
    left_out = [place for place, photo in enumerate(photos) if photo.source in without.split(",")]
    barred = {groups[place] for place in left_out}
    trains, validates = ([place for place in side if groups[place] not in barred] for side in (trains, validates))
    print(f"{len(trains)} photos train, {len(validates)} validate; classes: {', '.join(CLASSES)}")

    trunk = network.cut(net, freeze)
    inputs = bank.mapped(trunk, shown := bank.seen(photos, views))

    labels = torch.tensor([photo.label for photo in photos])
    right = functional.one_hot(labels, len(CLASSES)).repeat(1 + views, 1)
    targets = right * (1 - _SMOOTHING) + _SMOOTHING / len(CLASSES)
    if teacher:
        tutor = network.fresh(teacher)
        # Where a source is left out, its teacher did without it as well.
        network.start(tutor, load_file(bank.CACHE / teacher / elsewhere.name if without else network.starter(teacher)))
        taught = torch.from_numpy(bank.mapped(tutor, shown)).float()
        targets = 0.8 * functional.softmax(taught / _SOFTENING, 1) + 0.2 * targets
    often = torch.zeros(len(photos))
    often[trains] = torch.tensor(shares([photos[place] for place in trains], [groups[place] for place in trains]))
    moved = kornia.RandomAffine(0.0, translate=(0.08, 0.08), padding_mode="border")
    altered = nn.Identity() if freeze else kornia.AugmentationSequential(kornia.RandomHorizontalFlip(), moved)

    def batch() -> tuple[Tensor, Tensor]:
        rows = torch.multinomial(often.repeat(1 + views), _BATCH, replacement=True)
        return altered(bank.prepared(inputs[rows])), targets[rows]

    def accuracy() -> float:
        return float((bank.answered(net, inputs[validates]).argmax(1) == labels[validates]).float().mean())

    names = [photo.name for photo in photos]
    job = bank.CACHE / app / joblib.hash([start, freeze, teacher, views, steps, rate, without, out, names])
    job.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    history = learn(net, batch, steps, rate, accuracy, job / "checkpoint.pt")
    _curve(history, job / "curve.png")
    if left_out:
        torch.save((bank.answered(net, inputs[left_out]), labels[left_out]), elsewhere.with_suffix(".pt"))
    said = {file.stem.removeprefix("without-"): torch.load(file) for file in sorted(job.parent.glob("without-*.pt"))}
    divisor = round(temperature(*(said.values() or [(bank.answered(net, inputs[validates]), labels[validates])])), 2)
    if freeze:
        net.features = nn.Sequential(*trunk, *net.get_submodule("features").children())
    network.write(net, out, divisor, [photos[place] for place in validates])
    print(f"{history[-1][2]:.3f} of the validation photos are right; temperature {divisor:.2f}")
    print(table(said) if said else "How it does on photos from elsewhere is not known: no source was left out yet.")
    print(f"Written: {out}, and how it went: {job / 'curve.png'}")


def _curve(history: list[tuple[int, float, float]], file: Path) -> None:
    steps, *curves = zip(*history, strict=True)
    figure = Figure(layout="constrained")
    names = ("training loss", "accuracy on validation photos")
    for axes, values, name in zip(figure.subplots(2), curves, names, strict=True):
        axes.plot(steps, values)
        axes.set(xlabel="step", ylabel=name)
    figure.savefig(file)


if __name__ == "__main__":
    try:
        typer.run(main)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
