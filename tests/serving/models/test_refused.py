"""Models that start nowhere, each with a sentence that says what to do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from serving.models.engine import Engine, open_engine
from serving.models.errors import ModelError
from serving.models.files.choice import choose
from serving.models.files.folder import Folder
from tests.classes import APPLE, GRAPES, LEMON
from tests.serving.models.given import converting_here, settings
from tests.serving.models.made import folder_in, small_network
from variants import CLASSES

MEAN, STD = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")


def opened(folder: Folder, cache: Path, **chosen: Any) -> Engine:
    with converting_here():
        return open_engine(folder, choose(folder), settings(cache, **chosen))


def onnx(network: nn.Module, folder: Folder, shape: tuple[int, ...] = (1, 3, 64, 64)) -> None:
    torch.onnx.export(network, (torch.zeros(shape),), str(folder.artifacts / "a.onnx"), dynamo=False)


class Softmaxed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = small_network()

    def forward(self, photos: Tensor) -> Tensor:
        return self.network(photos).softmax(1)  # type: ignore[no-any-return]


class Broken(nn.Module):
    def forward(self, photos: Tensor) -> Tensor:
        return photos.mean((2, 3)) / 0


class Grey(nn.Module):
    def forward(self, photos: Tensor) -> Tensor:
        return photos.mean((2, 3)).repeat(1, 3)


@pytest.mark.parametrize(
    ("name", "network", "toml", "wrong"),
    [
        ("four", lambda: small_network(4), "", f"a.onnx has 4 outputs, but there are 3 classes ({', '.join(CLASSES)})"),
        ("logits", small_network, 'output = "probabilities"', "a.onnx gives no probabilities"),
        ("softmax", Softmaxed, "", 'a.onnx gives probabilities: write output = "probabilities" into app_softmax/'),
        ("nan", Broken, "", "check mean and std in app_nan/variant.toml"),
        (
            "size",
            small_network,
            "[input]\nsize = 150",
            "a.onnx takes photos of 64×64 pixels, but [input] in variant.toml",
        ),
        ("batch", small_network, "batch = 4", "the model takes one photo at a time"),
    ],
)
def test_an_onnx_file_that_does_not_fit(
    name: str, network: Callable[[], nn.Module], toml: str, wrong: str, tmp_path: Path
) -> None:
    folder = folder_in(tmp_path, name, toml)
    if name == "batch":

        class One(nn.Module):
            def forward(self, photos: Tensor) -> Tensor:
                return photos.reshape(1, 3, -1).mean(2)

        onnx(One(), folder)
    else:
        onnx(network(), folder)

    with pytest.raises(ModelError) as caught:
        opened(folder, tmp_path / "cache")

    assert wrong in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").iterdir())


def test_photos_of_one_channel(tmp_path: Path) -> None:
    folder = folder_in(tmp_path, "grey")
    onnx(Grey(), folder, (1, 1, 64, 64))

    with pytest.raises(ModelError, match="has to take photos of three channels"):
        opened(folder, tmp_path / "cache")


@pytest.mark.parametrize("name", ["a.onnx", "a.xml", "a.pt2", "a.torchscript"])
def test_a_file_that_is_damaged(name: str, tmp_path: Path) -> None:
    folder = folder_in(tmp_path, "damaged_" + name.replace(".", "_"), "[input]\nsize = 64\n")
    (folder.artifacts / name).write_bytes(b"<html>Not found</html>")

    with pytest.raises(ModelError, match=f"^{name} .* damaged"):
        opened(folder, tmp_path / "cache")


@pytest.mark.parametrize("kind", ["openvino", "torch"])
def test_a_size_that_nobody_says(kind: str, tmp_path: Path) -> None:
    folder = folder_in(tmp_path, "sizeless")
    torch.jit.trace(small_network(), torch.zeros(1, 3, 64, 64)).save(str(folder.artifacts / "a.pt"))  # type: ignore[no-untyped-call]

    with pytest.raises(ModelError, match=r"a\.pt does not say how large its photos are: .* size = 224"):
        opened(folder, tmp_path / "cache", engine=kind)


BUILD = """from torch import nn


def build(state, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, len(classes)))
"""


@pytest.mark.parametrize("kind", ["openvino", "torch"])
def test_a_network_that_takes_another_size(kind: str, tmp_path: Path) -> None:
    folder = folder_in(tmp_path, f"other_size_{kind}", "[input]\nsize = 9\n", BUILD)
    torch.save(nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 3)).state_dict(), folder.artifacts / "a.pt")

    with pytest.raises(ModelError, match=r"a\.pt does not take photos of 9×9: .*192"):
        opened(folder, tmp_path / "cache", engine=kind)


@pytest.mark.parametrize(
    ("name", "code", "wrong"),
    [
        ("unbuilt", "", "a.pt holds weights only: write app_unbuilt/model.py with build(state, classes)"),
        (
            "lacking",
            "import nosuchlibrary\n\n" + BUILD,
            "app_lacking/model.py needs nosuchlibrary, which is not installed",
        ),
        ("old", "def build(state):\n    return None\n", "build(state, classes) in app_old/model.py fails"),
    ],
)
def test_weights_without_their_network(name: str, code: str, wrong: str, tmp_path: Path) -> None:
    folder = folder_in(tmp_path, name, "[input]\nsize = 8\n", code)
    torch.save(nn.Linear(3, 2).state_dict(), folder.artifacts / "a.pt")

    with pytest.raises(ModelError) as caught:
        opened(folder, tmp_path / "cache")

    assert wrong in str(caught.value)


@pytest.mark.parametrize(
    ("name", "body", "wrong"),
    [
        ("no_setup", "    pass\n", "needs setup(artifacts, device) and predict(pixels)"),
        (
            "fails",
            "    def setup(self, a, d): pass\n    def predict(self, p): return p[5]\n",
            "fails at a photo: IndexErr",
        ),
        ("two", "    def setup(self, a, d): pass\n    def predict(self, p): return [[1, 2]]\n", "has 2 outputs"),
    ],
)
def test_a_class_that_is_no_model(name: str, body: str, wrong: str, tmp_path: Path) -> None:
    folder = folder_in(tmp_path, name, "[input]\nsize = 8\n", f"class Model:\n{body}")
    (folder.artifacts / "a.txt").write_text("nothing")

    with pytest.raises(ModelError) as caught:
        opened(folder, tmp_path)

    assert wrong in str(caught.value)


def test_a_gpu_where_there_is_none(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    folder = folder_in(tmp_path, "gpu", 'device = "cuda"\n[input]\nsize = 64\n')
    onnx(small_network(), folder)

    with pytest.raises(ModelError, match=r"PyTorch finds no GPU here, and is built for .*docker-compose\.gpu\.yml"):
        opened(folder, tmp_path)


def test_outputs_in_another_order_and_several_of_one_class(tmp_path: Path) -> None:
    plain = folder_in(tmp_path, "in_order", f"classes = {json.dumps([APPLE, GRAPES, LEMON, LEMON])}\n")
    onnx(small_network(4), plain)
    turned = folder_in(tmp_path, "turned", f"classes = {json.dumps([LEMON, APPLE, LEMON, GRAPES])}\n")
    onnx(small_network(4), turned)
    photo = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)

    own = opened(plain, tmp_path / "cache")
    found = opened(turned, tmp_path / "cache").score(photo)

    a, b, c = own.score(photo)
    with torch.inference_mode():
        scaled = torch.tensor(photo).permute(2, 0, 1) / 255
        raw = small_network(4)(((scaled - MEAN) / STD)[None]).softmax(1)[0].numpy()
    assert [a, b, c] == pytest.approx([raw[0], raw[1], raw[2] + raw[3]], abs=0.02)
    assert found == pytest.approx([raw[1], raw[3], raw[0] + raw[2]], abs=0.02)
