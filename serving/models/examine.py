"""Whether what a model answers can be an answer."""

import numpy as np
from numpy.typing import NDArray

from .errors import ModelError
from .files.choice import Model
from .files.folder import Folder

__all__ = ["examine", "examine_answer"]

# What half precision may leave of a sum of 1.
_SUM_WITHIN = 0.02


def examine(folder: Folder, model: Model, raw: NDArray[np.float32]) -> None:
    """Raises ``ModelError`` where ``raw``, what the model says of one photo, is not a score for each of its classes."""
    toml = f"{folder.path.name}/variant.toml"
    if raw.ndim != 2 or len(raw) != 1:
        raise ModelError(f"{model.file} answers one photo with {_shape(raw)} numbers; it has to be a score a class")
    if raw.shape[1] != len(model.outputs):
        raise ModelError(
            f"{model.file} has {raw.shape[1]} outputs, but there are {len(model.outputs)} classes "
            f"({', '.join(model.outputs[:5])}{', …' if len(model.outputs) > 5 else ''}): say in {toml} which class "
            "each output is, as classes = [...], or serve a model that was trained for these"
        )
    if not np.isfinite(raw).all():
        raise ModelError(f"{model.file} answers a photo with {raw[~np.isfinite(raw)][0]}: check mean and std in {toml}")
    sums_to_1 = bool((raw >= -_SUM_WITHIN).all() and abs(float(raw.sum()) - 1) < _SUM_WITHIN)
    if folder.spec.output == "logits" and sums_to_1 and (raw >= 0).all():
        raise ModelError(f'{model.file} gives probabilities: write output = "probabilities" into {toml}')
    if folder.spec.output == "probabilities" and not sums_to_1:
        shown = ", ".join(f"{score:.3g}" for score in raw[0][:5])
        raise ModelError(
            f'{model.file} gives no probabilities ({shown} do not sum to 1): leave output = "probabilities" in '
            f"{toml} out, or end the model in a softmax"
        )


def examine_answer(scores: NDArray[np.float32], classes: int, engine: str) -> None:
    """Raises ``ModelError`` where ``scores``, what ``engine`` says of one photo, are no probabilities."""
    if scores.shape != (classes,) or not np.isfinite(scores).all() or abs(float(scores.sum()) - 1) > _SUM_WITHIN:
        shown = ", ".join(f"{score:.3g}" for score in np.ravel(scores)[:5])
        raise ModelError(f"{engine} answers a photo with {shown}, which are no probabilities: serve with ENGINE=torch")


def _shape(raw: NDArray[np.float32]) -> str:
    return "×".join(map(str, raw.shape)) or "single"
