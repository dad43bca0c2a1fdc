from io import BytesIO
from pathlib import Path

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops
from PIL import Image

from serving.models import quantise
from serving.models.convert import NETWORK, convert
from serving.models.engine import open_engine, open_reference
from serving.models.files.choice import choose
from serving.models.quantise import calibration_photos, pays
from tests.classes import photos_of
from tests.serving.models.given import VGG16, converting_here, settings
from tests.serving.photos import SIDE, VIEW

# Where bytes do not pay, sums of their products overflow, and nothing is served in them.
only_where_bytes_pay = pytest.mark.skipif(not pays(), reason="this processor does not multiply bytes")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu sse2 avx2 avx512f avx512_vnni amx_tile amx_int8", True),
        ("fpu sse2 avx2 avx_vnni", True),
        ("fpu sse2 avx2 avx512f", False),
    ],
)
def test_bytes_pay_where_the_processor_multiplies_them(
    flags: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\n")
    monkeypatch.setattr(quantise, "Path", lambda _: tmp_path / "cpuinfo")
    assert pays() is expected


@pytest.mark.parametrize("text", [None, "processor\t: 0\nFeatures\t: fp asimd\n"])
def test_bytes_do_not_pay_where_nothing_says_so(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text:
        (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(quantise, "Path", lambda _: tmp_path / "cpuinfo")
    assert pays() is False


def test_a_photo_calibrates_whole_and_its_middle_both_ways_round(tmp_path: Path) -> None:
    (tmp_path / "lemon").mkdir()
    pixels = np.zeros((500, 500, 3), np.uint8)
    pixels[:, :250] = 255
    out = BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=95)
    (tmp_path / "lemon" / "a.jpg").write_bytes(out.getvalue())

    views = list(calibration_photos([tmp_path / "lemon" / "a.jpg"], VIEW))

    assert [view.shape for view in views] == [(SIDE, SIDE, 3)] * 4
    assert [bool(view[75, 20, 0] > 128) for view in views] == [True, False, True, False]


def test_only_a_quantised_network_is_marked(tmp_path: Path) -> None:
    kinds = {}
    with converting_here():
        for quantised in (False, True):
            convert(VGG16, choose(VGG16), tmp_path, quantised, threads=2)
            network = openvino.Core().read_model(tmp_path / NETWORK)
            kinds[quantised] = [op.get_type_name() for op in network.get_ops()]
    layers = sum(kinds[True].count(kind) for kind in ("Convolution", "MatMul"))
    assert kinds[False].count("FakeQuantize") == 0
    assert kinds[True].count("FakeQuantize") == 2 * layers > 2 * 13


@only_where_bytes_pay
def test_a_layer_is_rounded_to_bytes_of_its_own_reach() -> None:
    """A product with weights of very different reach: every output keeps its own."""
    weights = np.array([[100, -50, 0], [0.01, 0.005, -0.0025]], np.float32)
    entry = ops.parameter([1, 3], np.uint8)
    product = ops.matmul(ops.convert(entry, np.float32), ops.constant(weights), False, True)
    network = openvino.Model([product], [entry])
    photos = [np.array([0, 0, 0], np.uint8), np.array([200, 100, 50], np.uint8)]

    marked = quantise.quantise(network, photos)

    found = openvino.Core().compile_model(marked, "CPU")([photos[1][np.newaxis]])[0][0]
    assert found == pytest.approx(weights @ photos[1], rel=0.02)


def test_products_of_what_is_computed_are_left_alone() -> None:
    """As attention multiplies."""
    entry = ops.parameter([1, 3], np.uint8)
    numbers = ops.convert(entry, np.float32)
    scores = ops.matmul(
        ops.matmul(numbers, numbers, True, False), ops.constant(np.eye(3, dtype=np.float32)), False, False
    )
    network = openvino.Model([scores], [entry])

    marked = quantise.quantise(network, [np.array([1, 2, 3], np.uint8)])

    kinds = [op.get_type_name() for op in marked.get_ops()]
    assert (kinds.count("MatMul"), kinds.count("FakeQuantize")) == (2, 2)


@only_where_bytes_pay
def test_a_quantised_engine_is_kept_apart_and_answers_alike(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = choose(VGG16)
    with converting_here():
        engine = open_engine(VGG16, model, settings(tmp_path))
        monkeypatch.setattr("serving.models.engines.on_openvino.quantising_pays", lambda: False)
        plain = open_engine(VGG16, model, settings(tmp_path))
    reference = open_reference(VGG16, model, settings(tmp_path))

    assert engine.description.endswith(" i8")
    assert not plain.description.endswith(" i8")
    assert len(list(tmp_path.iterdir())) == 2
    for pixels in list(calibration_photos([path for _, path in photos_of(samples)], VIEW))[::3]:
        found, wanted = engine.score(pixels), reference.score(pixels)
        assert found.argmax() == wanted.argmax()
        assert np.abs(found - wanted).max() < 0.1


@pytest.mark.parametrize("reason", ["the processor", "no photos"])
def test_where_bytes_do_not_pay_nothing_is_quantised(
    reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.models.engines.on_openvino.quantising_pays", lambda: reason != "the processor")
    if reason == "no photos":
        monkeypatch.setattr("serving.models.samples._PHOTOS", tmp_path / "none")
    with converting_here():
        engine = open_engine(VGG16, choose(VGG16), settings(tmp_path))
    assert engine.description.split()[-1] in ("f32", "bf16", "f16")
