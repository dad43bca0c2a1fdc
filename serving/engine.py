"""A model made fast: pixels in, probabilities out.

``openvino`` compiles the network for the processor at hand; ``torch`` is the reference it is held against.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .photos.pixels import MEAN, SIDE, STD
from .quantise import calibration_photos, quantise
from .quantise import pays as quantising_pays
from .settings import Settings
from .weights import WeightsFile, load

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Engine", "convert", "open_engine"]

Engine = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Pixels ``(150, 150, 3)`` to probabilities ``(classes,)``; may be called from several threads at once."""

# What activations are scaled by: the project's own photos, since every copy of it has them.
_PHOTOS = Path(__file__).parents[1] / "sample_data"
# Part of the name of every cached network: a change of the conversion must not meet an old one.
_CONVERSION = 1


def open_engine(model: str, weights: WeightsFile, settings: Settings, large: bool = False) -> tuple[Engine, str]:
    """The engine that ``settings`` ask for, over the model of the module named ``model``, and a line that describes it.

    A ``large`` network computes in 8-bit integers where the processor is faster at that. Raises ``WeightsError`` where
    the weights do not fit the model.
    """
    if settings.engine == "torch":
        return _torch(model, weights, settings.threads)
    return _openvino(model, weights, settings, large)


def _module(model: str, weights: WeightsFile) -> "nn.Module":
    """The network with its weights, simplified where its module knows how, ending in probabilities."""
    from torch import nn  # noqa: PLC0415

    definition = import_module(model)
    network = load(weights.path, definition.build)
    simplify = getattr(definition, "simplify", None)
    return nn.Sequential(simplify(network) if simplify else network, nn.Softmax(1)).eval()


def _torch(model: str, weights: WeightsFile, threads: int) -> tuple[Engine, str]:
    import torch  # noqa: PLC0415

    torch.set_num_threads(threads)
    network = _module(model, weights)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))

    def infer(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        photo = torch.tensor(pixels).permute(2, 0, 1).float().div(255)
        with torch.inference_mode():
            return np.asarray(network(((photo - mean) / std).unsqueeze(0))[0].numpy())

    return infer, f"torch {torch.__version__} f32"


def _openvino(model: str, weights: WeightsFile, settings: Settings, large: bool) -> tuple[Engine, str]:
    import openvino  # noqa: PLC0415

    quantised = large and quantising_pays() and any(_PHOTOS.glob("*/*.jpg"))
    core = openvino.Core()
    with _converted(model, weights, settings.cache_dir, quantised) as path:
        if large:
            # Held once. Photos side by side, on few threads each, come faster than one after the other on all.
            streams = max(min(settings.threads, 2), settings.threads // 4)
            compiled = [core.compile_model(path, "CPU", _on(streams, settings.threads))] * streams
        else:
            # Once for each thread, which then computes itself: handing over to another takes as long as a third of it.
            compiled = [core.compile_model(path, "CPU", _on(1, 1)) for _ in range(settings.threads)]
    precision = "i8" if quantised else compiled[0].get_property("INFERENCE_PRECISION_HINT").get_type_name()
    free: SimpleQueue[openvino.InferRequest] = SimpleQueue()
    for each in compiled:
        free.put(each.create_infer_request())

    def infer(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        request = free.get()
        try:
            return np.array(request.infer([pixels[np.newaxis]], share_inputs=True)[0][0])
        finally:
            free.put(request)

    return infer, f"openvino {openvino.__version__.split('-')[0]} {precision}"


def _on(streams: int, threads: int) -> dict[str, int | bool]:
    # Bound to cores, threads would wait for one that another process is at while the next is idle.
    return {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}


@contextmanager
def _converted(model: str, weights: WeightsFile, cache: Path, quantised: bool) -> Iterator[Path]:
    """The network as OpenVINO reads it: from the cache, or converted and put there where the cache can be written."""
    kind = f"{_CONVERSION}-i8" if quantised else str(_CONVERSION)
    path = cache / f"{model.partition('.')[0]}-{weights.sha256[:16]}-{kind}.xml"
    if path.is_file():
        yield path
        return
    with TemporaryDirectory() as scratch:
        converted = Path(scratch, path.name)
        # In a process of its own: PyTorch's memory goes with it.
        with ProcessPoolExecutor(1, get_context("spawn")) as child:
            child.submit(convert, model, weights, converted, quantised).result()
        try:
            cache.mkdir(parents=True, exist_ok=True)
            for file in (converted.with_suffix(".bin"), converted):  # the .xml last: it says that both are there
                partial = path.with_name(f"{file.name}.{os.getpid()}")
                shutil.copyfile(file, partial)
                partial.replace(cache / file.name)
        except OSError:
            yield converted
        else:
            yield path


def convert(model: str, weights: WeightsFile, path: Path, quantised: bool = False) -> None:
    """Writes the network to ``path`` (and its weights beside it), pixels ``(1, 150, 150, 3)`` in, probabilities out.

    Raises ``WeightsError`` where the weights do not fit the model.
    """
    import openvino  # noqa: PLC0415
    import torch  # noqa: PLC0415
    from openvino.frontend import FrontEndManager  # noqa: PLC0415
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # noqa: PLC0415
    from openvino.preprocess import PrePostProcessor  # noqa: PLC0415

    # The frontend itself and not openvino.convert_model, which reports its use to OpenVINO's makers.
    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(_module(model, weights), example_input=torch.zeros(1, 3, SIDE, SIDE))
    network = frontend.convert(frontend.load(decoder))
    network.reshape([1, 3, SIDE, SIDE])
    steps = PrePostProcessor(network)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(openvino.Type.f32).mean([255 * m for m in MEAN]).scale(
        [255 * s for s in STD]
    )
    network = steps.build()
    openvino.save_model(quantise(network, calibration_photos(_PHOTOS)) if quantised else network, path)
