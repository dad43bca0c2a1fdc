import itertools
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from app_custom.app.model import FruitCNN
from app_vgg16.app.model import FruitVGG16, build, simplify
from local.parts import ROOT
from serving import engine
from serving.engine import open_engine
from serving.photos.decode import decode
from serving.photos.pixels import to_pixels
from serving.settings import Settings
from serving.weights import WeightsError, WeightsFile, choose, read
from tests.serving.photos import quarters, scenery
from variants import CLASSES

MODELS = CUSTOM, VGG16 = "app_custom.app.model", "app_vgg16.app.model"
# What 16 bits and another order of the sums may change.
CLOSE = 0.02


def weights_of(service: str) -> WeightsFile:
    return choose(ROOT / service / "app" / "artifacts", "no such file")


def settings(cache: Path, **others: Any) -> Settings:
    return Settings(threads=2, cache_dir=cache, **others)


@pytest.fixture(scope="module")
def seen(samples: Path) -> list[NDArray[np.uint8]]:
    """What the engines are shown: the project's photos, and scenes that are none."""
    photos = sorted(samples.glob("*/*.jpg"))[::4]
    return [
        *(to_pixels(decode(path.read_bytes(), 10**8)) for path in photos),
        *(to_pixels(scenery(200, 150, seed)) for seed in range(4)),
        to_pixels(quarters()),
    ]


@contextmanager
def converting_here() -> Iterator[None]:
    """Conversion in this process, which has PyTorch already: a new one takes seconds to import it."""
    with (
        patch.object(engine, "ProcessPoolExecutor", lambda workers, _: ThreadPoolExecutor(workers)),
        warnings.catch_warnings(action="ignore", category=DeprecationWarning),  # of what OpenVINO asks of PyTorch
    ):
        yield


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeightsFile]:
    """The starter of VGG-16 in the layout that is published: 541 MB, the same answers."""
    state = read(weights_of("app_vgg16").path)
    state = {key: tensor.float() for key, tensor in state.items()}
    for layer in ("classifier.0", "classifier.3"):
        if f"{layer}.0.weight" in state:
            thin, wide = state.pop(f"{layer}.0.weight"), state.pop(f"{layer}.1.weight")
            state |= {f"{layer}.weight": wide @ thin, f"{layer}.bias": state.pop(f"{layer}.1.bias")}
    if state["classifier.0.weight"].shape[1] == 512 * 4 * 4:
        stretch = torch.nn.AdaptiveAvgPool2d(7)(torch.eye(16).view(16, 1, 4, 4)).flatten(1)
        back = torch.linalg.pinv(stretch.double()).T.float()
        state["classifier.0.weight"] = (state["classifier.0.weight"].view(4096, 512, 16) @ back).flatten(1)
    folder = tmp_path_factory.mktemp("published")
    torch.save(state, folder / "transfer_learning_model.pt")
    yield choose(folder, "transfer_learning_model.pt")
    (folder / "transfer_learning_model.pt").unlink()


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, engine.Engine]]:
    """The fast engines of both starters, converted anew: what is cached may be of another conversion."""
    cache = tmp_path_factory.mktemp("cache")
    with converting_here():
        yield {model: open_engine(model, weights_of(model.partition(".")[0]), settings(cache))[0] for model in MODELS}
    for file in cache.iterdir():  # pytest keeps the folders of the last runs
        file.unlink()


@pytest.mark.parametrize("model", MODELS)
def test_the_fast_engine_answers_as_pytorch_does(
    model: str, engines: dict[str, engine.Engine], seen: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    weights = weights_of(model.partition(".")[0])
    reference, description = open_engine(model, weights, settings(tmp_path, engine="torch"))

    assert description == f"torch {torch.__version__} f32"
    answers, found = [reference(pixels) for pixels in seen], [engines[model](pixels) for pixels in seen]
    for scores, wanted in zip(found, answers, strict=True):
        assert (scores.shape, scores.dtype) == (wanted.shape, wanted.dtype) == ((3,), np.dtype(np.float32))
        assert np.abs(scores - wanted).max() < CLOSE
        assert scores.sum() == pytest.approx(1, abs=1e-2)
    assert np.abs(np.subtract(found, answers)).mean() < CLOSE / 8
    assert np.ptp(answers, axis=0).max() > 0.2, "the photos are all the same to it"


def test_the_published_layout_answers_as_the_starter_does(
    published: WeightsFile, engines: dict[str, engine.Engine], seen: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    assert published.path.stat().st_size > 540_000_000

    with converting_here():
        fast, description = open_engine(VGG16, published, settings(tmp_path))

    assert re.fullmatch(r"openvino [\d.]+ (f32|bf16|f16)", description)
    for pixels in seen:
        assert np.abs(fast(pixels) - engines[VGG16](pixels)).max() < CLOSE
    for file in tmp_path.iterdir():
        file.unlink()


@pytest.mark.parametrize("ranks", [None, (8, 4)])
def test_simplifying_vgg16_changes_nothing(ranks: tuple[int, int] | None) -> None:
    torch.manual_seed(0)
    with torch.device("meta" if ranks is None else "cpu"):
        network = FruitVGG16(ranks=ranks).eval()
    if ranks is None:  # only what is simplified has to be there: the rest would take 470 MB
        network.classifier[0] = torch.nn.Linear(512 * 7 * 7, 4096)
    maps = torch.randn(3, 512, 4, 4)

    simplified = simplify(network)

    first, simplified_first = (each.classifier[0] for each in (network, simplified))
    wanted = first(torch.flatten(network.avgpool(maps), 1))
    found = simplified_first(torch.flatten(simplified.avgpool(maps), 1))
    assert wanted.abs().max() > 0.1
    assert (found - wanted).abs().max() < 1e-5
    assert sum(value.numel() for value in simplified_first.parameters()) < 0.5 * sum(
        value.numel() for value in first.parameters()
    )
    assert simplify(simplified) is simplified


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("ranks", [(8, 4), None])
def test_every_layout_of_vgg16_is_known_by_its_keys(ranks: tuple[int, int] | None, pooled: bool) -> None:
    with torch.device("meta"):
        state = FruitVGG16(ranks=ranks, pooled=pooled).state_dict()
        rebuilt = build(state).state_dict()

    assert {key: tensor.shape for key, tensor in rebuilt.items()} == {
        key: tensor.shape for key, tensor in state.items()
    }


def test_vgg16_is_torchvisions_with_another_end() -> None:
    with torch.device("meta"):
        shapes = {key: tuple(tensor.shape) for key, tensor in FruitVGG16().state_dict().items()}

    convolutions = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    layers = [f"features.{index}" for index in convolutions] + [
        f"classifier.{index}" for index in ("0", "3", "6.0", "6.3")
    ]
    assert list(shapes) == [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    assert shapes["classifier.0.weight"] == (4096, 25088)
    assert shapes["classifier.6.3.weight"] == (3, 256)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> WeightsFile:
    """Weights of the small network that are drawn by lot."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("small")
    save_file(FruitCNN().state_dict(), folder / "starter.safetensors")
    return choose(folder, "no such file")


@pytest.fixture(scope="module")
def cache(small: WeightsFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that ``small`` is in."""
    folder = tmp_path_factory.mktemp("cache") / "made by the engine"
    with converting_here():
        open_engine(CUSTOM, small, settings(folder))
    return folder


def test_what_is_cached_is_not_converted_again(
    cache: Path, small: WeightsFile, seen: list[NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(*_: object) -> None:
        pytest.fail("converted again")

    monkeypatch.setattr(engine, "ProcessPoolExecutor", convert)
    assert sorted(file.suffix for file in cache.iterdir()) == [".bin", ".xml"]

    cached, _ = open_engine(CUSTOM, small, settings(cache))
    reference, _ = open_engine(CUSTOM, small, settings(cache, engine="torch"))

    assert np.abs(cached(seen[-1]) - reference(seen[-1])).max() < CLOSE


def test_other_weights_are_not_taken_from_the_cache(cache: Path, small: WeightsFile, tmp_path: Path) -> None:
    torch.manual_seed(1)
    save_file(FruitCNN().state_dict(), tmp_path / "starter.safetensors")
    other = choose(tmp_path, "no such file")

    with engine._converted(CUSTOM, small, cache, quantised=False) as cached:
        assert cached.parent == cache
        assert cached.stem.startswith(f"app_custom-{small.sha256[:16]}")
        assert other.sha256[:16] not in cached.stem


OPEN = """
import sys
from pathlib import Path
from serving.engine import open_engine
from serving.settings import Settings
from serving.weights import choose
if __name__ == "__main__":
    artifacts, cache = map(Path, sys.argv[1:])
    weights = choose(artifacts, "no such file")
    open_engine("app_custom.app.model", weights, Settings(threads=1, cache_dir=cache))
    print(sorted({"torch", "torchvision"} & set(sys.modules)))
"""


def test_a_start_from_the_cache_needs_no_pytorch(cache: Path, small: WeightsFile, tmp_path: Path) -> None:
    script = tmp_path / "opener.py"
    script.write_text(OPEN)
    command = [sys.executable, str(script), str(small.path.parent), str(cache)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True)

    assert ended.stdout == "[]\n"


@pytest.mark.parametrize("moment", [1, 2])
def test_two_that_fill_the_cache_at_once(
    moment: int, small: WeightsFile, seen: list[NDArray[np.uint8]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before this one puts its first or its second file there, another process does all it has to."""
    copies = itertools.count(1)

    def copy(source: Path, target: Path) -> None:
        if next(copies) == moment:
            with patch("os.getpid", return_value=-1):
                open_engine(CUSTOM, small, settings(tmp_path))
        Path(target).write_bytes(Path(source).read_bytes())

    monkeypatch.setattr(shutil, "copyfile", copy)
    with converting_here():
        infer, _ = open_engine(CUSTOM, small, settings(tmp_path))
    reference, _ = open_engine(CUSTOM, small, settings(tmp_path, engine="torch"))

    assert next(copies) == 5
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".bin", ".xml"]
    for found in (infer, open_engine(CUSTOM, small, settings(tmp_path))[0]):
        assert np.abs(found(seen[0]) - reference(seen[0])).max() < CLOSE


def test_a_cache_that_cannot_be_written(small: WeightsFile, seen: list[NDArray[np.uint8]], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with converting_here():
        uncached, _ = open_engine(CUSTOM, small, settings(tmp_path / "file" / "cache"))
    reference, _ = open_engine(CUSTOM, small, settings(tmp_path, engine="torch"))

    assert np.abs(uncached(seen[0]) - reference(seen[0])).max() < CLOSE
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("kind", ["openvino", "torch"])
def test_weights_that_do_not_fit(kind: str, tmp_path: Path) -> None:
    state = FruitCNN().state_dict()
    state["fc3.bias"] = torch.zeros(4)
    save_file(state, tmp_path / "starter.safetensors")
    weights = choose(tmp_path, "no such file")

    with pytest.raises(WeightsError) as caught:
        open_engine(CUSTOM, weights, settings(tmp_path / "cache", engine=kind))

    expected = "starter.safetensors does not fit the model: fc3.bias has shape (4,), expected (3,)"
    assert str(caught.value) == expected
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("kind", ["openvino", "torch"])
def test_several_threads_at_once(kind: str, cache: Path, small: WeightsFile, seen: list[NDArray[np.uint8]]) -> None:
    infer, _ = open_engine(CUSTOM, small, settings(cache, engine=kind))
    alone = [infer(pixels) for pixels in seen]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(infer, seen * 10))

    assert all(np.allclose(found, wanted, atol=1e-6) for found, wanted in zip(together, alone * 10, strict=True))


def test_an_answer_is_not_overwritten_by_the_next(
    cache: Path, small: WeightsFile, seen: list[NDArray[np.uint8]]
) -> None:
    infer, _ = open_engine(CUSTOM, small, settings(cache))

    first = infer(seen[0])
    before = first.copy()
    infer(255 - seen[0])

    assert np.array_equal(first, before)


def test_vgg16_is_right_on_the_projects_own_photos(samples: Path, engines: dict[str, engine.Engine]) -> None:
    photos = sorted(samples.glob("*/*.jpg"))
    if not photos:
        pytest.skip("no photos in sample_data")

    found = {
        photo: CLASSES[int(engines[VGG16](to_pixels(decode(photo.read_bytes(), 10**8))).argmax())] for photo in photos
    }

    assert {photo.name: name for photo, name in found.items() if name != photo.parent.name} == {}
