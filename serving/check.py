"""A variant tried on photos, without serving it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image

from .models.engine import Engine, open_engine, open_reference
from .models.errors import ModelError
from .models.examine import examine_answer
from .models.files.choice import Kind, choose
from .models.files.folder import Folder
from .models.samples import sample
from .photos.decode import decode
from .photos.errors import PhotoError
from .photos.pixels import to_pixels
from .settings import Settings

__all__ = ["check"]

# What the model sees is written here.
_SEEN = Path(".run/check")
# What 16 and 8 bits, and another order of the sums, may change.
_CLOSE = 0.05
_SHOWN = 5


def check(folder: Folder, settings: Settings, photos: Sequence[Path]) -> Iterator[str]:
    """Lines that say what the model takes, how it is served, and what it makes of each photo.

    Raises ``ModelError`` where it cannot be served, or its fast engine does not answer as the reference does.
    """
    model = choose(folder)
    start = perf_counter()
    engine = open_engine(folder, model, settings)
    yield f"{folder.path.name}: {model.file} ({model.kind}), sha256 {model.weights.sha256[:12]}"
    yield f"  input:   {_input(engine)}"
    yield f"  classes: {', '.join(model.outputs)}"
    batch = f", up to {engine.batch} photos together" if engine.batch > 1 else ""
    yield f"  engine:  {engine.description}, opened in {perf_counter() - start:.1f} s{batch}"
    # The first is slower than the rest.
    examine_answer(engine.score(sample(engine.input.view)), len(folder.classes), engine.description)
    reference = None if model.kind is Kind.CODE else open_reference(folder, model, settings)
    apart = [0.0]
    for path in photos:
        try:
            data = path.read_bytes()
            start = perf_counter()
            pixels = to_pixels(decode(data, settings.max_pixels, engine.input.view.side), engine.input.view)
        except PhotoError as error:
            raise ModelError(f"{path}: {error}") from None
        decoded = perf_counter()
        scores = engine.scores(pixels[np.newaxis])[0]
        ended = perf_counter()
        seen = _SEEN / folder.path.name / f"{path.stem}.png"
        seen.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(seen)
        yield f"{path}: {_best(folder.classes, scores)}"
        times = f"read in {1e3 * (decoded - start):.1f} ms, classified in {1e3 * (ended - decoded):.1f} ms"
        yield f"  {times}; what the model sees: {seen}"
        if reference:
            apart.append(float(np.abs(scores - reference.scores(pixels[np.newaxis])[0]).max()))
            yield f"  {apart[-1]:.4f} at most from {reference.description}"
    if max(apart) > _CLOSE:
        raise ModelError(
            f"the fast engine is {max(apart):.3f} off the reference, more than {_CLOSE}: "
            + ("leave large = true out, or " if folder.spec.large else "")
            + "serve with ENGINE=torch"
        )
    if reference and photos:
        yield f"The fast engine agrees with the reference (within {_CLOSE})."


def _input(engine: Engine) -> str:
    taken = engine.input
    height, width = taken.shape
    resized = f", shorter side to {taken.resize}" if taken.resize else ""
    numbers = (", ".join(f"{value:g}" for value in values) for values in (taken.mean, taken.std))
    mean, std = numbers
    return f"{width}×{height}, {taken.fit}{resized}, {taken.interpolation}, mean {mean}, std {std}"


def _best(classes: Sequence[str], scores: "np.typing.NDArray[np.float32]") -> str:
    ranked = sorted(zip(scores.tolist(), classes, strict=True), reverse=True)[:_SHOWN]
    return ", ".join(f"{name} {score:.3f}" for score, name in ranked)
