"""How good the weights in place are, as they are served: ``python -m training.evaluate PHOTOS``."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import typer
from sklearn.metrics import classification_report
from torch import Tensor

from serving.models.engine import open_engine, open_reference
from serving.models.files.choice import choose
from serving.models.files.folder import Folder
from serving.photos.decode import decode
from serving.photos.pixels import to_pixels
from serving.settings import Settings
from serving.variant import listed
from training.network import aside
from training.photos import CLASSES, Photo, find, load, pixels
from variants import VARIANTS

__all__ = ["main", "served_and_reference"]


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


def main(folder: Path) -> None:
    """Scores every variant on FOLDER, which holds a folder of photos for each class.

    On those that its weights were not trained on, as the list beside them says; on all, where that names none of them.
    """
    everything = find(folder)
    for variant in VARIANTS:
        served_by = listed(Path(variant.service))
        photos = (held := aside(everything, choose(served_by).weights.path)) or everything
        which = "set aside in training" if held else "of which none is known to be set aside in training"
        what, served, reference = served_and_reference(served_by, photos)
        print(f"{variant.name} ({what}), {len(photos)} photos, {which}\n")
        labels = [CLASSES[photo.label] for photo in photos]
        answers = [CLASSES[answer] for answer in served.argmax(1)]
        print(classification_report(labels, answers, digits=3, zero_division=0))
        same = (served.argmax(1) == reference.argmax(1)).float().mean()
        print(f"The same class as PyTorch in float32 on {same:.2%} of them.\n", flush=True)


if __name__ == "__main__":
    typer.run(main)
