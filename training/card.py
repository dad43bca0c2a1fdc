"""Writes a starter's model card from what is measured: ``python -m training.card custom PHOTOS``."""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from training import starter
from training.evaluate import Scorer, count, score, scorer
from training.photos import CLASSES, Photo, find
from training.proxies import CONDITIONS, view
from training.split import VALIDATION, split

__all__ = ["main", "write"]

_MODELS = {
    "custom": (
        "A convolutional network of 2.2 million parameters, trained from nothing on the answers of the `vgg16` starter "
        "to augmented views of the training photos."
    ),
    "vgg16": (
        "VGG-16 with a head for three classes, whose two large layers are factorised (ranks 128 and 64) so that the "
        "file stays small. The convolutions come from ImageNet; the fourth and fifth block were fine-tuned."
    ),
}

_RECIPES = {
    "custom": "python -m training.train custom PHOTOS --teacher app_vgg16/app/artifacts/starter.safetensors "
    "--bank 16000 --steps 8000 --seed 1",
    "vgg16": "python -m training.train vgg16 PHOTOS --backbone FEATURES --steps 250\n"
    "python -m training.train vgg16 PHOTOS --backbone app_vgg16/app/artifacts/starter.safetensors --bank 0 --steps 700 "
    "--seed 2\n"
    "python -m training.train vgg16 PHOTOS --backbone app_vgg16/app/artifacts/starter.safetensors --bank 0 --steps 900 "
    "--seed 5",
}

_NOTES = {
    "custom": "Weights differ a little from run to run.",
    "vgg16": "`FEATURES` are the ImageNet convolutions, keys as torchvision's `features.*`. Weights differ a little "
    "from run to run.",
}

_LICENCES = {
    "custom": "Its teacher starts from VGG-16's ImageNet weights (K. Simonyan and A. Zisserman, *Very Deep "
    "Convolutional Networks for Large-Scale Image Recognition*, 2014; University of Oxford, CC BY 4.0); none of them "
    "is in this file.",
    "vgg16": "The convolutions are derived from VGG-16's ImageNet weights by K. Simonyan and A. Zisserman (*Very Deep "
    "Convolutional Networks for Large-Scale Image Recognition*, 2014; University of Oxford), licensed "
    "[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/). Changed: blocks four and five fine-tuned, the head "
    "replaced, stored in half precision.",
}

_WEAKNESSES = """\
- It knows three fruits and nothing else: any photo gets one of the three.
- Most training photos are small pictures from the web. The made-up conditions above stand in for phone photos; none of
  them is a phone photo.
- The shop photos show apples and a few lemons, never grapes. Sampling, cut-outs on other grounds and strong changes of
  light work against "a shop, thus an apple", but cannot rule it out.
- `lemon/` holds lemon trees, unripe lemons and a few photos that look like oranges; labels were taken as they are.
- Apples and lemons are mixed up most. Fruit on a plate or small in the picture does worst.
- 78 of the 535 validation photos resemble a training photo closely (correlation above 0.98 at 16×16 pixels, grey).
  Measured once, without them: `custom` 0.882, `vgg16` 0.967, so they flatter neither.
- No model was trained without a source and tested on it: how well either does on another source is not known."""


def write(variant: str, photos: Sequence[Photo], held_out: tuple[Scorer, str] | None = None) -> str:
    """The card of the starter of ``variant``: what it is, its data, and its results on the validation photos.

    ``held_out`` scores the same recipe, trained without the photos of one source, on these.
    """
    training, validation = split(photos)
    file = starter.path(variant)
    answers = scorer(starter.read(variant, file))
    labels = [photo.label for photo in validation]
    as_is = next(iter(CONDITIONS))
    plain = torch.cat([answers(part).argmax(1) for part in torch.split(view(validation, as_is), 64)])
    lines = [f"# Starter weights of `{variant}`", "", _MODELS[variant], ""]
    lines += [f"`{file.name}`: {file.stat().st_size / 1e6:.1f} MB, half precision. Classes: {', '.join(CLASSES)}.", ""]
    lines += ["## How it was made", "", "```", _RECIPES[variant], "```", "", _NOTES[variant], ""]
    lines += ["## Data", "", "| class | source | training | validation |", "| --- | --- | ---: | ---: |"]
    sizes = [Counter((photo.label, photo.source) for photo in part) for part in (training, validation)]
    lines += [f"| {CLASSES[g[0]]} | {g[1]} | {sizes[0][g]} | {sizes[1][g]} |" for g in sorted(sizes[0])]
    lines += [
        "",
        f"{VALIDATION:.0%} of each class and source validate, chosen by a hash of their names. `eu40`: the",
        "",
    ]
    lines[-2] += (
        " Fruits-40-EU set, web photos of 104×128 pixels. `grocery`: GroceryStoreDataset (MIT, © 2019 Marcus Klasson)."
    )
    lines += [f"## Results on {len(validation)} validation photos", "", count(plain, labels).table(), ""]
    lines += ["| photos | accuracy |", "| --- | ---: |"]
    lines.append(f"| {as_is} | {count(plain, labels).accuracy:.3f} |")
    for condition in list(CONDITIONS)[1:]:
        lines.append(f"| {condition} | {score(answers, view(validation, condition), labels).accuracy:.3f} |")
    for source in sorted({photo.source for photo in validation}):
        rows = [row for row, photo in enumerate(validation) if photo.source == source]
        result = count(plain[rows], [labels[row] for row in rows])
        lines.append(f"| {as_is}, `{source}` alone ({len(rows)}) | {result.accuracy:.3f} |")
    if held_out:
        part = [photo for photo in photos if photo.source == held_out[1]]
        result = score(held_out[0], view(part, as_is), [photo.label for photo in part])
        lines.append(f"| all {len(part)} of {held_out[1]}, by a model trained without any | {result.accuracy:.3f} |")
    lines += [
        "",
        "The conditions after the first two are made from the validation photos by `training/proxies.py`.",
        "",
    ]
    lines += ["## Known weaknesses", "", _WEAKNESSES, "", "## Licence", "", _LICENCES[variant], ""]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training.card", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("variant", choices=sorted(_MODELS))
    parser.add_argument("photos", type=Path, help="a folder with a folder of photos for each class")
    parser.add_argument(
        "--held-out", nargs=2, metavar=("WEIGHTS", "SOURCE"), help="weights trained with --without SOURCE"
    )
    given = parser.parse_args(arguments)
    held = (scorer(starter.read(given.variant, Path(given.held_out[0]))), given.held_out[1]) if given.held_out else None
    card = write(given.variant, find(given.photos), held)
    starter.path(given.variant).with_name("MODEL_CARD.md").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
