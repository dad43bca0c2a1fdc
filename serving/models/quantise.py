"""A network in 8-bit integers, for processors that multiply those faster than anything else.

Weights are scaled for each output channel, activations for each layer by what they come to on a few photos (B. Jacob et
al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, 2018, §2 and §3). The
network keeps its own numbers; marks in it say how to round, and OpenVINO's compiler does the rest.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..photos.decode import decode
from ..photos.pixels import to_pixels
from ..photos.view import View

__all__ = ["calibration_photos", "pays", "quantise"]

# What x86 processors call their instructions for sums of products of bytes. Without one of these, OpenVINO has to split
# every product in two, and its sums can overflow.
_INSTRUCTIONS = {"avx_vnni", "avx512_vnni", "amx_int8"}
_LAYERS = {"Convolution", "MatMul"}
_LEVELS = 256


def pays() -> bool:
    """Whether this processor is faster in 8-bit integers."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return bool(_INSTRUCTIONS.intersection(flags.split()))


def calibration_photos(paths: Iterable[Path], view: View) -> Iterator[NDArray[np.uint8]]:
    """Each photo whole and its middle, both ways round: ``(height, width, 3)``."""
    for path in paths:
        photo = decode(path.read_bytes(), 50_000_000, view.side)
        width, height = photo.size
        middle = photo.crop((width // 5, height // 5, width - width // 5, height - height // 5))
        for part in (photo, middle):
            pixels = to_pixels(part, view)
            yield pixels
            yield np.ascontiguousarray(pixels[:, ::-1])


def quantise(network: Any, photos: Iterable[NDArray[Any]]) -> Any:
    """The OpenVINO model ``network`` with marks for 8-bit integers at the inputs of its convolutions and products.

    ``photos`` are what it takes, without the first axis, which counts them.
    """
    from openvino import opset13 as ops  # noqa: PLC0415

    for layer, (low, high) in zip(_layers(network), _ranges(network, photos), strict=True):
        bounds = (np.float32(low), np.float32(high))
        rounded = ops.fake_quantize(layer.input_value(0), *bounds, *bounds, _LEVELS)
        layer.input(0).replace_source_output(rounded.output(0))
        weights = np.asarray(_constant(layer).data, np.float32)
        # One level less, so that 0 is one of them.
        reach = np.maximum(np.abs(weights).max(_inner_axes(layer, weights.ndim), keepdims=True), 1e-8)
        rounded = ops.fake_quantize(ops.constant(weights), -reach, reach, -reach, reach, _LEVELS - 1)
        layer.input(1).replace_source_output(rounded.output(0))
    network.validate_nodes_and_infer_types()
    return network


def _ranges(network: Any, photos: Iterable[NDArray[Any]]) -> list[tuple[float, float]]:
    """The least and the greatest that comes to each layer; 0 is always within."""
    import openvino  # noqa: PLC0415
    from openvino import opset13 as ops  # noqa: PLC0415

    probe = network.clone()
    ends = []
    for op in _layers(probe):
        entry = op.input_value(0)
        axes = ops.constant(list(range(len(entry.get_partial_shape()))), np.int64)
        ends += [ops.reduce_min(entry, axes, False), ops.reduce_max(entry, axes, False)]
    probe.add_outputs([end.output(0) for end in ends])
    compiled = openvino.Core().compile_model(probe, "CPU")
    # The first output is the network's own.
    seen = np.array([[float(end) for end in list(compiled([photo[np.newaxis]]).values())[1:]] for photo in photos])
    lows, highs = np.minimum(seen[:, 0::2].min(0), 0), seen[:, 1::2].max(0)
    return list(zip(lows.tolist(), highs.tolist(), strict=True))


def _layers(network: Any) -> list[Any]:
    """The convolutions and the products with weights; attention multiplies what it computes."""
    return [op for op in network.get_ordered_ops() if op.get_type_name() in _LAYERS and _constant(op)]


def _constant(layer: Any) -> Any:
    """The weights of ``layer``, which may be kept as something shorter and converted; None where there are none."""
    node = layer.input_value(1).get_node()
    while node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return node if node.get_type_name() == "Constant" else None


def _inner_axes(layer: Any, dimensions: int) -> tuple[int, ...]:
    """The axes of a layer's weights that one output sums over."""
    outer = 0
    if layer.get_type_name() == "MatMul" and not layer.get_attributes()["transpose_b"]:
        outer = dimensions - 1
    return tuple(axis for axis in range(dimensions) if axis != outer)
