"""Models compiled for the processor at hand."""

import json
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cache import converted
from ..convert import ABOUT, NETWORK, streams
from ..files.choice import Model
from ..files.folder import Folder
from ..files.spec import Input
from ..quantise import pays as quantising_pays
from ..samples import samples
from .scorer import Scorer

__all__ = ["open_model"]


def open_model(folder: Folder, model: Model, cache: Path, threads: int, exact: bool = False) -> Scorer:
    """``model`` on ``threads`` threads; ``exact`` computes in 32 bits, which is slower.

    Raises ``ModelError`` where it does not fit its ``variant.toml`` or the system.
    """
    import openvino  # noqa: PLC0415

    large = folder.spec.large
    quantised = large and not exact and quantising_pays() and bool(samples(folder))
    core = openvino.Core()
    with converted(folder, model, cache, quantised, threads) as made:
        about = json.loads((made / ABOUT).read_text())
        taken, batch = Input(**about["input"]), int(about["batch"])
        network: Any = made / NETWORK
        if batch > 1:
            network = core.read_model(network)
            network.reshape([-1, *taken.shape, 3])
        if large:
            # Held once. Photos side by side, on few threads each, come faster than one after the other on all.
            at_once = streams(large, threads)
            compiled = [core.compile_model(network, "CPU", _on(at_once, threads, exact))] * at_once
        else:
            # Once for each thread, which then computes itself: handing over to another takes as long as a third of it.
            compiled = [core.compile_model(network, "CPU", _on(1, 1, exact)) for _ in range(threads)]
    precision = "i8" if quantised else compiled[0].get_property("INFERENCE_PRECISION_HINT").get_type_name()
    free: SimpleQueue[openvino.InferRequest] = SimpleQueue()
    for each in compiled:
        free.put(each.create_infer_request())

    def scores(photos: NDArray[np.uint8]) -> NDArray[np.float32]:
        request = free.get()
        try:
            if batch > 1 or len(photos) == 1:
                return np.array(request.infer([photos], share_inputs=True)[0])
            return np.concatenate([request.infer([photo[np.newaxis]])[0].copy() for photo in photos])
        finally:
            free.put(request)

    return Scorer(scores, taken, f"openvino {openvino.__version__.split('-')[0]} {precision}", batch, len(compiled))


def _on(streams: int, threads: int, exact: bool) -> dict[str, Any]:
    # Bound to cores, threads would wait for one that another process is at while the next is idle.
    bound = {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
    return bound | ({"INFERENCE_PRECISION_HINT": "f32"} if exact else {})
