"""Every kind of model file, served, against what its own library says of the project's photos."""

import importlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime
import openvino
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from serving.models.engine import open_engine, open_reference
from serving.models.files.choice import Kind, choose
from serving.models.files.folder import Folder
from tests.classes import APPLE, GRAPES, LEMON
from tests.serving.models.given import converting_here, settings
from tests.serving.models.made import (
    answers,
    exact,
    folder_in,
    originals,
    seen,
    sharp,
    small_network,
    with_torchvision,
)

SIDE = 64
SIZE = f"[input]\nsize = {SIDE}\n"
MEAN, STD = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
# What is asked of 32 bits.
CLOSE = 1e-3

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")


def transform(photo: Image.Image) -> Tensor:
    """torchvision's usual one, by Pillow alone: the shorter side to 64, the centre, ImageNet's mean."""
    short = min(photo.size)
    scaled = photo.resize((SIDE * photo.width // short, SIDE * photo.height // short), Image.Resampling.BILINEAR)
    left, top = (round((side - SIDE) / 2) for side in scaled.size)
    pixels = np.array(scaled.crop((left, top, left + SIDE, top + SIDE)))
    return (torch.from_numpy(pixels).permute(2, 0, 1).float() / 255 - MEAN) / STD


def agree(folder: Folder, wanted: NDArray[np.float32], samples: Path, cache: Path) -> None:
    """The fast engine in 32 bits and the reference both say what is ``wanted``; so does the fast one, about."""
    assert np.ptp(wanted, axis=0).max() > 0.1, "the photos are all the same to it"
    model, chosen = choose(folder), settings(cache)
    order = [folder.classes.index(output) for output in model.outputs]
    assert seen(exact(folder, cache), samples) == pytest.approx(wanted[:, order], abs=CLOSE)
    with converting_here():
        reference, fast = open_reference(folder, model, chosen), open_engine(folder, model, chosen)
    assert seen(reference, samples) == pytest.approx(wanted, abs=CLOSE)
    assert np.abs(seen(fast, samples) - wanted).max() < 0.1


TIMM = '''"""A network of timm's."""

import timm


def build(state, classes):
    return timm.create_model("{name}", num_classes=len(classes){options})
'''


@pytest.mark.parametrize(
    ("name", "options", "toml"),
    [
        ("mobilenetv3_small_050", {}, "batch = 1\n"),
        # As its own page says it, for those who write it down.
        (
            "mobilenetv3_small_050",
            {},
            "batch = 1\n[input]\nsize = 224\nresize = 256\ninterpolation = 'bicubic'\n"
            "mean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]\n",
        ),
        ("vit_tiny_patch16_224", {"depth": 2}, "batch = 1\n"),
        # Its windows' positions are computed when it is built, and not saved.
        (
            "swin_tiny_patch4_window7_224",
            {"depths": (1, 1, 1, 1), "embed_dim": 24, "num_heads": (1, 2, 3, 4)},
            "batch = 1\n",
        ),
    ],
    ids=["MobileNetV3", "MobileNetV3, written down", "ViT", "Swin"],
)
def test_a_network_of_timms(name: str, options: dict[str, Any], toml: str, samples: Path, tmp_path: Path) -> None:
    timm = with_torchvision("timm")
    torch.manual_seed(0)
    network = sharp(timm.create_model(name, num_classes=3, **options).eval())
    code = TIMM.format(name=name, options="".join(f", {key}={value!r}" for key, value in options.items()))
    folder = folder_in(tmp_path, f"timm_{name[:4]}_{len(toml)}", toml, code)
    torch.save(network.state_dict(), folder.artifacts / "a.pth")
    own = timm.data.create_transform(**timm.data.resolve_model_data_config(network), is_training=False)

    agree(folder, answers(network, own, samples), samples, tmp_path / "cache")


def onnx(network: nn.Module, path: Path, **options: Any) -> None:
    torch.onnx.export(network, (torch.zeros(1, 3, SIDE, SIDE),), str(path), dynamo=False, **options)


def ir(network: nn.Module, path: Path) -> None:
    onnx(network, path.with_suffix(".onnx"))
    openvino.save_model(openvino.Core().read_model(path.with_suffix(".onnx")), path, compress_to_fp16=False)
    path.with_suffix(".onnx").unlink()


def exported(network: nn.Module, path: Path) -> None:
    torch.export.save(torch.export.export(network, (torch.zeros(1, 3, SIDE, SIDE),)), path)


def traced(network: nn.Module, path: Path) -> None:
    torch.jit.trace(network, torch.zeros(1, 3, SIDE, SIDE)).save(str(path))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("save", "file", "toml", "kind"),
    [
        (onnx, "a.onnx", "", Kind.ONNX),
        (ir, "a.xml", "", Kind.IR),
        (exported, "a.pt2", "", Kind.EXPORTED),
        (traced, "a.torchscript", SIZE, Kind.TORCHSCRIPT),
        (traced, "a.pt", SIZE, Kind.TORCHSCRIPT),
    ],
)
def test_a_file_that_holds_the_whole_network(
    save: Callable[[nn.Module, Path], None], file: str, toml: str, kind: Kind, samples: Path, tmp_path: Path
) -> None:
    network = small_network()
    folder = folder_in(tmp_path, f"whole_{file.replace('.', '_')}", toml)
    save(network, folder.artifacts / file)

    assert choose(folder).kind is kind
    agree(folder, answers(network, transform, samples), samples, tmp_path / "cache")


def test_an_onnx_file_answers_as_onnx_runtime_does(samples: Path, tmp_path: Path) -> None:
    folder = folder_in(tmp_path, "runtime")
    onnx(small_network(), folder.artifacts / "a.onnx", input_names=["photos"])
    session = onnxruntime.InferenceSession(folder.artifacts / "a.onnx", providers=["CPUExecutionProvider"])
    logits = [session.run(None, {"photos": transform(photo)[None].numpy()})[0][0] for _, photo in originals(samples)]

    wanted = torch.tensor(np.stack(logits)).softmax(1).numpy()

    assert seen(exact(folder, tmp_path / "cache"), samples) == pytest.approx(wanted, abs=CLOSE)


def test_channels_last_and_probabilities_as_other_frameworks_export_them(samples: Path, tmp_path: Path) -> None:
    network = small_network()

    class Last(nn.Module):
        def forward(self, photos: Tensor) -> Tensor:
            return network(photos.permute(0, 3, 1, 2)).softmax(1)  # type: ignore[no-any-return]

    folder = folder_in(tmp_path, "last", 'output = "probabilities"\n')
    torch.onnx.export(Last(), (torch.zeros(1, SIDE, SIDE, 3),), str(folder.artifacts / "a.onnx"), dynamo=False)

    wanted = answers(network, transform, samples)

    assert seen(exact(folder, tmp_path / "cache"), samples) == pytest.approx(wanted, abs=CLOSE)


SKLEARN = '''"""A classifier of scikit-learn's, over a photo of 8×8."""

import joblib


class Model:
    def setup(self, artifacts, device):
        self.classifier = joblib.load(artifacts / "a.joblib")

    def predict(self, pixels):
        return self.classifier.predict_proba(pixels.reshape(len(pixels), -1))
'''


def test_a_classifier_of_scikit_learns(samples: Path, tmp_path: Path) -> None:
    photos = [np.asarray(photo.resize((8, 8), Image.Resampling.BICUBIC)).ravel() for _, photo in originals(samples)]
    classifier = LogisticRegression(C=1e-6).fit(photos, np.arange(len(photos)) % 3)
    toml = 'output = "probabilities"\n[input]\nsize = 8\nfit = "squash"\ninterpolation = "bicubic"\n'
    folder = folder_in(tmp_path, "sklearn", toml, SKLEARN)
    joblib.dump(classifier, folder.artifacts / "a.joblib")

    engine = open_engine(folder, choose(folder), settings(tmp_path))

    wanted = classifier.predict_proba(photos)
    assert np.ptp(wanted, axis=0).max() > 0.1
    assert seen(engine, samples) == pytest.approx(wanted, abs=CLOSE)
    assert engine.score(np.zeros((8, 8, 3), np.uint8)).shape == (3,)


@pytest.mark.parametrize("kind", ["ViT, squashed", "ResNet, shorter side and crop"])
def test_a_hugging_face_folder(kind: str, samples: Path, tmp_path: Path) -> None:
    with_torchvision("torchvision")
    hf: Any = importlib.import_module("transformers")

    torch.manual_seed(0)
    # In another order than the system's, as it was trained.
    named: dict[str, Any] = {"id2label": dict(enumerate([LEMON, APPLE, GRAPES]))}
    network: Any
    if kind.startswith("ViT"):
        config = hf.ViTConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=SIDE, **named
        )
        network = hf.ViTForImageClassification(config)
        processor = hf.ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}, resample=3)
    else:
        config = hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", **named)
        network = hf.ResNetForImageClassification(config)
        processor = hf.ConvNextImageProcessorPil(size={"shortest_edge": SIDE}, crop_pct=0.875)
    network = sharp(network.eval(), by=30 if kind.startswith("ViT") else 2)
    folder = folder_in(tmp_path, f"hf_{kind[:3]}")
    network.save_pretrained(folder.artifacts)
    processor.save_pretrained(folder.artifacts)
    photos = [photo for _, photo in originals(samples)]
    with torch.inference_mode():
        own = network(**processor(photos, return_tensors="pt")).logits.softmax(1).numpy()

    agree(replace(folder, classes=(APPLE, GRAPES, LEMON)), own[:, [1, 2, 0]], samples, tmp_path / "cache")


def test_an_onnx_file_in_a_hugging_face_folder(samples: Path, tmp_path: Path) -> None:
    """As its exporters leave it: what its JSON files say holds."""
    network = small_network()
    folder = folder_in(tmp_path, "exported_hf")
    onnx(network, folder.artifacts / "model.onnx")
    labels = {"id2label": {"0": GRAPES, "1": LEMON, "2": APPLE}}
    said = {"size": {"height": SIDE, "width": SIDE}, "resample": 3, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (folder.artifacts / "config.json").write_text(json.dumps(labels))
    (folder.artifacts / "preprocessor_config.json").write_text(json.dumps(said))

    def squash(photo: Image.Image) -> Tensor:
        pixels = np.array(photo.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        return (torch.from_numpy(pixels).permute(2, 0, 1).float() / 255 - 0.5) / 0.25

    assert choose(folder).outputs == (GRAPES, LEMON, APPLE)
    assert seen(exact(folder, tmp_path / "cache"), samples) == pytest.approx(
        answers(network, squash, samples), abs=CLOSE
    )


def test_a_hugging_face_folder_of_timms(samples: Path, tmp_path: Path) -> None:
    timm = with_torchvision("timm")
    torch.manual_seed(0)
    network = sharp(timm.create_model("test_vit", num_classes=3).eval())
    folder = folder_in(tmp_path, "hf_timm")
    labels = [LEMON, GRAPES, APPLE]
    timm.models.save_for_hf(network, folder.artifacts, model_config={"label_names": labels}, safe_serialization=True)
    # What transformers cannot read where timm has written down the number of classes.
    config = json.loads((folder.artifacts / "config.json").read_text())
    (folder.artifacts / "config.json").write_text(json.dumps({**config, "model_args": {}}))
    own = timm.data.create_transform(**timm.data.resolve_model_data_config(network), is_training=False)

    agree(folder, answers(network, own, samples)[:, [2, 1, 0]], samples, tmp_path / "cache")
