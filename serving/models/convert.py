"""Any network to the form OpenVINO serves it in: pixels in, probabilities out.

It runs in a process of its own: the memory of what it imports goes with it.
"""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..photos.view import View
from .engines.batches import fastest
from .errors import ModelError
from .examine import examine
from .files.choice import Kind, Model
from .files.folder import Folder
from .files.spec import Input
from .networks import hugging_face
from .networks.opening import open_network
from .quantise import calibration_photos, quantise
from .samples import sample, samples

__all__ = ["ABOUT", "NETWORK", "convert", "streams"]

# What OpenVINO reads itself.
_READ = (Kind.ONNX, Kind.IR)

NETWORK, ABOUT = "network.xml", "about.json"


def convert(folder: Folder, model: Model, target: Path, quantised: bool, threads: int) -> None:
    """Writes the network into the folder ``target``, pixels ``(1, height, width, 3)`` in, and what is known of it.

    Raises ``ModelError`` where the model does not fit its ``variant.toml`` or the system.
    """
    import openvino  # noqa: PLC0415

    with _quietly():
        network, taken = _raw(folder, model)
    if model.kind in _READ:
        compiled = openvino.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        examine(folder, model, compiled([sample(taken.view)[None]])[0])
    if folder.spec.output == "logits":
        network = _softmax(network)
    if quantised:
        network = quantise(network, calibration_photos(samples(folder), taken.view))
    # Half precision is enough for what is computed in less.
    openvino.save_model(network, target / NETWORK, compress_to_fp16=folder.spec.large)
    batch = _batch(folder, network, taken.view, threads)
    (target / ABOUT).write_text(json.dumps({"input": taken.model_dump(), "batch": batch}))


@contextmanager
def _quietly() -> Iterator[None]:
    """What libraries remark on each other is nothing that their user could change."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _raw(folder: Folder, model: Model) -> tuple[Any, Input]:
    """The network, pixels in and whatever it says out, and its input."""
    import openvino  # noqa: PLC0415
    from openvino.preprocess import PrePostProcessor  # noqa: PLC0415

    if model.kind in _READ:
        network, layout, fixed = _read(model)
        stated = hugging_face.stated_input(model.weights.path.parent)
        taken = folder.spec.input.completed(stated, fixed, model.file)
    else:
        network, taken = _traced(folder, model)
        layout = "NCHW"
    height, width = taken.shape
    try:
        network.reshape([1, 3, height, width] if layout == "NCHW" else [1, height, width, 3])
    except RuntimeError as error:
        raise ModelError(f"{model.file} does not take one photo of {width}×{height}: {_last(error)}") from None
    steps = PrePostProcessor(network)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout(layout))
    kind = network.inputs[0].element_type
    if kind != openvino.Type.u8:  # which takes pixels as they are
        normal = steps.input().preprocess().convert_element_type(openvino.Type.f32)
        normal.mean([255 * m for m in taken.mean]).scale([255 * s for s in taken.std])
        if kind != openvino.Type.f32:
            normal.convert_element_type(kind)
    steps.output().tensor().set_element_type(openvino.Type.f32)
    return steps.build(), taken


def _read(model: Model) -> tuple[Any, str, tuple[int, int] | None]:
    """A network that OpenVINO reads itself, where its channels are, and the only height and width it takes."""
    import openvino  # noqa: PLC0415

    try:
        network = openvino.Core().read_model(model.weights.path)
    except RuntimeError as error:
        raise ModelError(f"{model.file} cannot be read, or is damaged: {_last(error)}") from None
    if len(network.inputs) != 1 or len(network.inputs[0].partial_shape) != 4:
        raise ModelError(f"{model.file} has to take one input, photos: it takes {_shapes(network.inputs)}")
    outputs = [each for each in network.outputs if each.element_type.is_real() and len(each.partial_shape) == 2]
    if len(outputs) != 1:
        raise ModelError(f"{model.file} has to give one output, a score a class: it gives {_shapes(network.outputs)}")
    if len(network.outputs) > 1:
        network = openvino.Model([outputs[0]], network.get_parameters())
    sides = [side.get_length() if side.is_static else None for side in network.inputs[0].partial_shape]
    if 3 not in (sides[1], sides[3]):
        raise ModelError(f"{model.file} has to take photos of three channels: it takes {_shapes(network.inputs)}")
    layout, (height, width) = ("NCHW", sides[2:]) if sides[1] == 3 else ("NHWC", sides[1:3])
    return network, layout, (height, width) if height and width else None


def _traced(folder: Folder, model: Model) -> tuple[Any, Input]:
    """A network of PyTorch's, as OpenVINO has it."""
    import torch  # noqa: PLC0415
    from openvino.frontend import FrontEndManager  # noqa: PLC0415
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder  # noqa: PLC0415
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # noqa: PLC0415

    opened = open_network(folder, model)
    taken = folder.spec.input.completed(opened.stated, opened.fixed, model.file)
    height, width = taken.shape
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (taken.mean, taken.std))
    photos = ((torch.from_numpy(sample(taken.view)).permute(2, 0, 1) / 255 - mean) / std)[None]
    try:
        with torch.inference_mode():
            raw = opened.module(photos)
    except Exception as error:  # whatever a network does with photos it is not made for
        raise ModelError(f"{model.file} does not take photos of {width}×{height}: {_last(error)}") from error
    examine(folder, model, np.asarray(raw))
    # The frontend itself and not openvino.convert_model, which reports its use to OpenVINO's makers.
    frontend = FrontEndManager().load_by_framework("pytorch")
    try:
        if opened.program:
            decoder = TorchFXPythonDecoder.from_exported_program(opened.program)
        else:
            decoder = TorchScriptPythonDecoder(opened.module, example_input=photos)
        return frontend.convert(frontend.load(decoder)), taken
    except Exception as error:  # OpenVINO has no one kind of error
        raise ModelError(f"OpenVINO cannot convert {model.file}, try ENGINE=torch: {_last(error)}") from error


def _softmax(network: Any) -> Any:
    import openvino  # noqa: PLC0415
    from openvino import opset13 as ops  # noqa: PLC0415

    scores = network.output(0).get_node().input_value(0)
    return openvino.Model([ops.softmax(scores, 1)], network.get_parameters())


def streams(large: bool, threads: int) -> int:
    """How many photos are computed at once: of a ``large`` network on few threads each, else on one each."""
    return max(min(threads, 2), threads // 4) if large else threads


def _batch(folder: Folder, network: Any, view: View, threads: int) -> int:
    """How many photos are best scored together by this processor."""
    import openvino  # noqa: PLC0415

    if folder.spec.batch == 1:
        return 1
    many = network.clone()
    try:
        many.reshape([-1, view.height, view.width, 3])
        each = max(1, threads // streams(folder.spec.large, threads))
        scores = openvino.Core().compile_model(many, "CPU", {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": each})
        photo = sample(view)
        wanted, found = (scores([np.stack([photo] * count)])[0] for count in (1, 2))
        takes_many = found.shape[0] == 2 and np.abs(found - wanted).max() < 0.01
    except RuntimeError:
        takes_many = False
    if folder.spec.batch != "auto":
        if not takes_many:
            raise ModelError(f"the model takes one photo at a time: leave batch = {folder.spec.batch} out")
        return folder.spec.batch
    return fastest(lambda photos: scores([photos])[0], photo, most=8) if takes_many else 1


def _shapes(ports: Any) -> str:
    return ", ".join(str(port.partial_shape) for port in ports)


def _last(error: Exception) -> str:
    """The line that says what is wrong, after those that say where."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:200]
