"""A model made fast: pixels in, probabilities of the system's classes out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..settings import Settings
from .engines import on_code, on_openvino, on_torch
from .engines.batches import Scores, Together
from .engines.scorer import Scorer
from .files.choice import Kind, Model
from .files.folder import Folder
from .files.spec import Input

__all__ = ["Engine", "open_engine", "open_reference"]

_OPENVINOS_OWN = (Kind.ONNX, Kind.IR)


@dataclass(frozen=True)
class Engine:
    """A model at work.

    ``scores`` takes pixels ``(N, height, width, 3)``, as ``input`` says, and gives probabilities ``(N, classes)`` in
    the order of the system's classes. ``score`` is the same of one photo, for many threads to call: up to ``batch`` of
    those that wait are answered together. ``description`` is a line for people.
    """

    scores: Scores
    score: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    input: Input
    description: str
    batch: int = 1


def open_engine(folder: Folder, model: Model, settings: Settings) -> Engine:
    """The engine that ``settings`` and the folder ask for.

    OpenVINO compiles a network for the processor at hand; PyTorch is for GPUs, and the reference where ``settings``
    say so. Raises ``ModelError`` where the model does not fit its ``variant.toml`` or the system.
    """
    device = settings.device or folder.spec.device
    if model.kind is Kind.CODE:
        return _engine(folder, model, on_code.open_model(folder, model, device))
    if device == "cuda":
        return _engine(folder, model, on_torch.open_model(folder, model, settings.threads, *on_torch.cuda()))
    if settings.engine == "torch":
        return open_reference(folder, model, settings)
    return _engine(folder, model, on_openvino.open_model(folder, model, settings.cache_dir, settings.threads))


def open_reference(folder: Folder, model: Model, settings: Settings) -> Engine:
    """The same in 32 bits on the processor: PyTorch, or OpenVINO for what only that reads. Raises ``ModelError``."""
    if model.kind in _OPENVINOS_OWN:
        scorer = on_openvino.open_model(folder, model, settings.cache_dir, settings.threads, exact=True)
    else:
        scorer = on_torch.open_model(folder, model, settings.threads)
    return _engine(folder, model, scorer)


def _engine(folder: Folder, model: Model, scorer: Scorer) -> Engine:
    scores = _in_order(scorer.scores, model.outputs, folder.classes)

    def score(photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(scores(photo[np.newaxis])[0])

    one_at_a_time = model.kind is Kind.CODE
    together = Together(scores, scorer.batch, scorer.at_once) if scorer.batch > 1 or one_at_a_time else score
    return Engine(scores, together, scorer.input, scorer.description, scorer.batch)


def _in_order(scores: Scores, outputs: tuple[str, ...], classes: tuple[str, ...]) -> Scores:
    """``scores`` of a model's ``outputs`` as those of ``classes``: what is of one class is added up."""
    if outputs == classes:
        return scores
    share = np.array([[output == name for name in classes] for output in outputs], np.float32)
    return lambda photos: scores(photos) @ share
