"""Models that compute by themselves: the class ``Model`` of a variant's ``model.py``."""

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..examine import examine
from ..files.choice import Model
from ..files.folder import Folder
from ..networks.opening import code
from ..samples import sample
from .batches import fastest
from .scorer import Scorer

__all__ = ["open_model"]

_MOST = 8


def open_model(folder: Folder, model: Model, device: str) -> Scorer:
    """The class, set up; one thread at a time asks it.

    Its ``setup(artifacts, device)`` is called once, with the folder of its files and ``cpu`` or ``cuda``; then
    ``predict(pixels)``, with ``(N, height, width, 3)`` bytes of RGB, for scores ``(N, outputs)``. Raises ``ModelError``
    where that is not what it does.
    """
    where = f"class Model in {folder.shown(folder.code)}"
    taken = folder.spec.input.completed({}, None, where)
    try:
        made = code(folder).Model()
        made.setup(folder.artifacts, device)
        predict = made.predict
    except (AttributeError, TypeError) as error:
        raise ModelError(f"{where} needs setup(artifacts, device) and predict(pixels): {error}") from error

    def raw(photos: NDArray[np.uint8]) -> NDArray[np.float32]:
        answer = np.asarray(predict(photos), np.float32)
        if len(answer) != len(photos):
            raise ModelError(f"{where} answers {len(photos)} photos with {len(answer)} rows of scores")
        return answer

    def scores(photos: NDArray[np.uint8]) -> NDArray[np.float32]:
        answer = raw(photos)
        if folder.spec.output == "logits":
            answer = np.exp(answer - answer.max(1, keepdims=True))
        return np.asarray(answer / answer.sum(1, keepdims=True), np.float32)

    photo = sample(taken.view)
    try:
        examine(folder, model, raw(photo[np.newaxis]))
        batch = folder.spec.batch
        chosen = fastest(scores, photo, _MOST) if batch == "auto" else batch
    except ModelError:
        raise
    except Exception as error:  # it is somebody's own code
        raise ModelError(f"{where} fails at a photo: {type(error).__name__}: {error}") from error
    return Scorer(scores, taken, f"{folder.shown(folder.code)} on {device}", chosen)
