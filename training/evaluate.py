"""How good the weights in place are, as they are served: ``python -m training.evaluate PHOTOS`` scores every variant.

By default on the photos that its weights were not trained on, as these say themselves.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from serving.models.engine import open_engine, open_reference
from serving.models.files.choice import choose
from serving.models.files.folder import Folder
from serving.photos.decode import decode
from serving.photos.pixels import to_pixels
from serving.settings import Settings
from serving.variant import listed
from training import network
from training.photos import Photo, find, load, pixels
from training.score import count
from variants import VARIANTS

__all__ = ["held_out", "main", "served_and_reference"]


def held_out(photos: Sequence[Photo], weights: Path) -> list[Photo]:
    """Those of ``photos`` that ``weights`` name as set aside when they were trained."""
    named = set(network.open_weights(weights)[1].get("validation", []) if weights.suffix == ".safetensors" else [])
    return [photo for photo in photos if photo.name in named]


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
    parser.add_argument("--all", action="store_true", help="all photos, not only those set aside in training")
    given = parser.parse_args(arguments)
    everything = find(given.photos)
    for variant in VARIANTS:
        folder = listed(Path(variant.service))
        weights = choose(folder).weights.path
        photos = everything if given.all else held_out(everything, weights)
        if not photos:
            parser.error(f"{weights} names no photo in {given.photos} as set aside in training; --all takes them all")
        labels = [photo.label for photo in photos]
        what, served, reference = served_and_reference(folder, photos)
        score, ideal = count(served.argmax(1), labels), count(reference.argmax(1), labels)
        same = float((served.argmax(1) == reference.argmax(1)).float().mean())
        print(
            f"{variant.name} ({what}): accuracy {score.accuracy:.4f} on {len(photos)} photos\n\n{score.table()}\n\n"
            f"Against PyTorch in float32 on fully decoded photos: accuracy {ideal.accuracy:.4f} there, the same class "
            f"on {same:.2%}, probabilities {(served - reference).abs().mean():.4f} apart on average.\n",
            flush=True,
        )


if __name__ == "__main__":
    main()
