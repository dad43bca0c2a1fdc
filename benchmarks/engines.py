"""Engines for VGG-16 on this processor, one photo at a time. In the peers' environment, which ``make bench`` makes:

    .bench-venv/bin/python -m benchmarks.engines sample_data

The folder holds photos: some to calibrate int8 with, the rest to hold every engine's answers against those of PyTorch
in float32.
"""

import copy
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from app_vgg16.app.model import FruitVGG16, build, simplify
from benchmarks.measuring.environment import ROOT, machine
from benchmarks.peers.classifier import prepare
from serving.models.files.choice import choose
from serving.models.networks.weights import load
from serving.models.quantise import quantise
from serving.variant import listed

Array = NDArray[np.float32]
Infer = Callable[[Array], Array]
"""A photo ``(1, 3, 150, 150)`` to its probabilities ``(1, 3)``."""
Open = Callable[[int], Infer]
"""An engine on so many threads."""

_CALIBRATION = 200
_HELD_OUT = 400
_REPEATS = 12
_ROUNDS = 1


def with_torch(network: Any, dtype: torch.dtype, channels_last: bool = False) -> Open:
    """PyTorch, or what it compiled."""

    def opened(threads: int) -> Infer:
        def infer(photo: Array) -> Array:
            torch.set_num_threads(threads)
            with torch.inference_mode():
                x = torch.from_numpy(photo).to(dtype)
                if channels_last:
                    x = x.contiguous(memory_format=torch.channels_last)
                return np.asarray(network(x).float().numpy())

        return infer

    return opened


def by_nncf(network: Any, calibration: list[Array]) -> Any:
    """int8 as OpenVINO's own tool makes it."""
    import nncf  # noqa: PLC0415

    return nncf.quantize(network, nncf.Dataset(calibration), subset_size=len(calibration))


def as_served(network: Any, calibration: list[Array]) -> Any:
    """int8 as this project makes it."""
    return quantise(network, (photo[0] for photo in calibration))


def with_openvino(
    network: nn.Module, precision: str, quantised: Callable[[Any], Any] = lambda network: network
) -> Open:
    """OpenVINO, on what ``quantised`` makes of the network."""
    import openvino  # noqa: PLC0415

    converted = quantised(
        openvino.convert_model(network, example_input=torch.zeros(1, 3, 150, 150), input=[1, 3, 150, 150])
    )
    core = openvino.Core()

    def opened(threads: int) -> Infer:
        hints = {"INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads}
        request = core.compile_model(converted, "CPU", hints).create_infer_request()
        return lambda photo: np.array(request.infer([photo], share_inputs=True)[0])

    return opened


def with_onnx_runtime(network: nn.Module, folder: Path) -> Open:
    """ONNX Runtime on its own CPU kernels."""
    import onnxruntime  # noqa: PLC0415

    path = str(folder / "vgg16.onnx")
    torch.onnx.export(network, (torch.zeros(1, 3, 150, 150),), path, dynamo=False, input_names=["photo"])

    def opened(threads: int) -> Infer:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda photo: np.asarray(session.run(None, {"photo": photo})[0])

    return opened


def compiled_ahead(network: nn.Module, dtype: torch.dtype, folder: Path) -> Open:
    """AOTInductor, with weights frozen so that it may lay them out as it likes."""
    import torch._inductor.config as inductor  # noqa: PLC0415

    inductor.freezing = True
    with torch.no_grad():
        exported = torch.export.export(network, (torch.zeros(1, 3, 150, 150, dtype=dtype),))
        package = torch._inductor.aoti_compile_and_package(exported, package_path=str(folder / f"{dtype}.pt2"))
    return with_torch(torch._inductor.aoti_load_package(package), dtype)


def engines(calibration: list[Array], folder: Path) -> Iterator[tuple[str, Callable[[], Open]]]:
    """Names of engines and what opens each."""
    weights = choose(listed(ROOT / "app_vgg16")).weights
    full = nn.Sequential(load(weights.path, build), nn.Softmax(1)).eval()
    simple = nn.Sequential(simplify(cast(FruitVGG16, load(weights.path, build))), nn.Softmax(1)).eval()

    def last(dtype: torch.dtype) -> nn.Module:
        return copy.deepcopy(simple).to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    f32, bf16 = torch.float32, torch.bfloat16
    yield "PyTorch float32, as tutorials serve it", lambda: with_torch(full, f32)
    yield "PyTorch float32, folded, channels-last", lambda: with_torch(last(f32), f32, channels_last=True)
    yield "PyTorch bfloat16, folded, channels-last", lambda: with_torch(last(bf16), bf16, channels_last=True)
    yield "torch.compile, bfloat16", lambda: with_torch(torch.compile(last(bf16)), bf16, channels_last=True)
    yield "AOTInductor, float32", lambda: compiled_ahead(simple, f32, folder)
    yield "AOTInductor, bfloat16", lambda: compiled_ahead(copy.deepcopy(simple).to(bf16), bf16, folder)
    yield "ONNX Runtime, float32", lambda: with_onnx_runtime(simple, folder)
    yield "OpenVINO, float32", lambda: with_openvino(simple, "f32")
    yield "OpenVINO, bfloat16", lambda: with_openvino(simple, "bf16")
    yield "OpenVINO, int8 by NNCF", lambda: with_openvino(simple, "bf16", lambda net: by_nncf(net, calibration))
    yield "OpenVINO, int8 as served", lambda: with_openvino(simple, "bf16", lambda net: as_served(net, calibration))


def compare(photos: list[Array], calibration: list[Array], folder: Path) -> Iterator[str]:
    """A table in Markdown."""
    opened: dict[str, dict[int, Infer]] = {}
    failed: dict[str, str] = {}
    made_s: dict[str, float] = {}
    for name, make in engines(calibration, folder):
        print(name, file=sys.stderr, flush=True)
        start = perf_counter()
        try:
            engine = make()
            opened[name] = {threads: engine(threads) for threads in (1, 2)}
            for infer in opened[name].values():
                infer(photos[0])
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:120]}"
        made_s[name] = perf_counter() - start
    opened = {name: infers for name, infers in opened.items() if name not in failed}
    times: dict[tuple[str, int], list[float]] = {(name, threads): [] for name in opened for threads in (1, 2)}
    for _ in range(_ROUNDS):
        for (name, threads), taken in times.items():
            infer = opened[name][threads]
            infer(photos[0])
            for photo in photos[:_REPEATS]:
                start = perf_counter()
                infer(photo)
                taken.append(perf_counter() - start)
    answers = {name: np.concatenate([infers[2](photo) for photo in photos]) for name, infers in opened.items()}
    reference = next(iter(answers.values()))
    yield "| engine | ms on 1 thread | ms on 2 | same class | mean difference of probabilities | made in |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, shares in answers.items():
        same = 100 * np.mean(shares.argmax(1) == reference.argmax(1))
        one, two = (1e3 * statistics.median(times[name, threads]) for threads in (1, 2))
        difference = np.abs(shares - reference).mean()
        yield f"| {name} | {one:.1f} | {two:.1f} | {same:.1f} % | {difference:.4f} | {made_s[name]:.0f} s |"
    for name, why in failed.items():
        yield f"| {name} | failed: {why} | | | | |"


def main(folder: Path) -> None:
    paths = sorted(folder.rglob("*.jpg"))
    random.Random(0).shuffle(paths)
    split = min(_CALIBRATION, len(paths) // 2)
    photos = []
    for path in paths[: split + _HELD_OUT]:
        with suppress(OSError):
            photos.append(prepare(path.read_bytes()).unsqueeze(0).numpy())
    facts = machine()
    with tempfile.TemporaryDirectory() as scratch:
        table = list(compare(photos[split:], photos[:split], Path(scratch)))
    print(f"On {facts['processor']} ({', '.join(facts['flags'])}), {facts['cores']} cores; ", end="")
    print(f"{split} photos to calibrate with, {len(photos) - split} to compare answers.\n")
    print("\n".join(table))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
