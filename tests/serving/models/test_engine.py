import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from app_custom.app.model import FruitCNN
from app_vgg16.app.model import FruitVGG16, build, simplify
from local.parts import ROOT
from serving.models.engine import Engine, open_engine
from serving.models.files.choice import choose
from serving.models.files.folder import Folder
from serving.models.networks.weights import WeightsError, read
from serving.photos.decode import decode
from serving.photos.pixels import to_pixels
from tests.classes import photos_of
from tests.serving.models.given import CUSTOM, VGG16, converting_here, settings
from tests.serving.photos import SIDE, VIEW, quarters, scenery
from variants import CLASSES

# What 16 bits and another order of the sums may change.
# As `python -m serving check` has it.
CLOSE = 0.05
# What 8 bits may change of a picture that is no photo of any class, and lies between them.
ROUGH = 0.25


def folder_of(path: Path, given: Folder = CUSTOM) -> Folder:
    """A copy of a given variant in ``path`` whose weights are to come."""
    (path / "artifacts").mkdir(parents=True)
    shutil.copy(given.code, path)
    return replace(given, path=path)


@pytest.fixture(scope="module")
def seen(samples: Path) -> list[NDArray[np.uint8]]:
    """What the engines are shown: the project's photos."""
    return [to_pixels(decode(path.read_bytes(), 10**8, SIDE), VIEW) for _, path in photos_of(samples)]


@pytest.fixture(scope="module")
def scenes() -> list[NDArray[np.uint8]]:
    """Pictures that are no photos of any class."""
    return [to_pixels(picture, VIEW) for picture in (*(scenery(200, 150, seed) for seed in range(4)), quarters())]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    """The starter of VGG-16 in the layout that is published: 541 MB, the same answers."""
    state = read(VGG16.artifacts / "starter.safetensors")
    state = {key: tensor.float() for key, tensor in state.items()}
    for layer in ("classifier.0", "classifier.3"):
        if f"{layer}.0.weight" in state:
            thin, wide = state.pop(f"{layer}.0.weight"), state.pop(f"{layer}.1.weight")
            state |= {f"{layer}.weight": wide @ thin, f"{layer}.bias": state.pop(f"{layer}.1.bias")}
    if state["classifier.0.weight"].shape[1] == 512 * 4 * 4:
        stretch = torch.nn.AdaptiveAvgPool2d(7)(torch.eye(16).view(16, 1, 4, 4)).flatten(1)
        back = torch.linalg.pinv(stretch.double()).T.float()
        state["classifier.0.weight"] = (state["classifier.0.weight"].view(4096, 512, 16) @ back).flatten(1)
    folder = folder_of(tmp_path_factory.mktemp("published") / "app_published", VGG16)
    torch.save(state, folder.artifacts / "transfer_learning_model.pt")
    yield folder
    (folder.artifacts / "transfer_learning_model.pt").unlink()


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Engine]]:
    """The fast engines of both starters, converted anew: what is cached may be of another conversion."""
    cache = tmp_path_factory.mktemp("cache")
    with converting_here():
        yield {folder.name: open_engine(folder, choose(folder), settings(cache)) for folder in (CUSTOM, VGG16)}
    shutil.rmtree(cache)  # pytest keeps the folders of the last runs


@pytest.mark.parametrize(("folder", "rough"), [(CUSTOM, CLOSE), (VGG16, ROUGH)])
def test_the_fast_engine_answers_as_pytorch_does(
    folder: Folder,
    rough: float,
    engines: dict[str, Engine],
    seen: list[NDArray[np.uint8]],
    scenes: list[NDArray[np.uint8]],
    tmp_path: Path,
) -> None:
    reference = open_engine(folder, choose(folder), settings(tmp_path, engine="torch"))

    assert reference.description == f"torch {torch.__version__} f32"
    answers, found = ([engine.score(pixels) for pixels in seen] for engine in (reference, engines[folder.name]))
    for scores, wanted in zip(found, answers, strict=True):
        assert (scores.shape, scores.dtype) == (wanted.shape, wanted.dtype) == ((3,), np.dtype(np.float32))
        assert np.abs(scores - wanted).max() < CLOSE
        assert scores.sum() == pytest.approx(1, abs=1e-2)
    assert np.abs(np.subtract(found, answers)).mean() < CLOSE / 10
    assert np.ptp(answers, axis=0).max() > 0.2, "the photos are all the same to it"
    for pixels in scenes:
        assert np.abs(engines[folder.name].score(pixels) - reference.score(pixels)).max() < rough


def test_several_photos_at_once_are_answered_as_each_alone(
    engines: dict[str, Engine], seen: list[NDArray[np.uint8]]
) -> None:
    together = engines["custom"].scores(np.stack(seen[:3]))

    assert together == pytest.approx(np.stack([engines["custom"].score(pixels) for pixels in seen[:3]]), abs=1e-6)


def test_the_published_layout_answers_as_the_starter_does(
    published: Folder,
    engines: dict[str, Engine],
    seen: list[NDArray[np.uint8]],
    scenes: list[NDArray[np.uint8]],
    tmp_path: Path,
) -> None:
    model = choose(published)
    assert model.weights.path.stat().st_size > 540_000_000

    small = replace(published, spec=published.spec.model_copy(update={"large": False}))
    with converting_here():
        fast = open_engine(small, model, settings(tmp_path))

    assert re.fullmatch(r"openvino [\d.]+ (f32|bf16|f16)", fast.description)
    for pictures, limit in ((seen, CLOSE), (scenes, ROUGH)):
        for pixels in pictures:
            assert np.abs(fast.score(pixels) - engines["vgg16"].score(pixels)).max() < limit
    shutil.rmtree(tmp_path)


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
def small(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The small network with weights that are drawn by lot."""
    torch.manual_seed(0)
    folder = folder_of(tmp_path_factory.mktemp("small") / "app_small")
    save_file(FruitCNN().state_dict(), folder.artifacts / "small.safetensors")
    return folder


@pytest.fixture(scope="module")
def cache(small: Folder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that ``small`` is in."""
    folder = tmp_path_factory.mktemp("cache") / "made by the engine"
    with converting_here():
        open_engine(small, choose(small), settings(folder))
    return folder


OPEN = """
import sys
from pathlib import Path
from serving.models.engine import open_engine
from serving.models.files.choice import choose
from serving.settings import Settings
from serving.variant import listed
if __name__ == "__main__":
    path, cache = map(Path, sys.argv[1:])
    folder = listed(path)
    open_engine(folder, choose(folder), Settings(threads=2, cache_dir=cache))
    print(sorted({"torch", "torchvision"} & set(sys.modules)))
"""


def test_a_start_from_the_cache_needs_no_pytorch(cache: Path, small: Folder, tmp_path: Path) -> None:
    (small.path / "variant.toml").write_text("batch = 1\n[input]\nsize = 150\n")
    before = list(cache.iterdir())
    script = tmp_path / "opener.py"
    script.write_text(OPEN)
    command = [sys.executable, str(script), str(small.path), str(cache)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True)

    assert ended.stdout == "[]\n"
    assert list(cache.iterdir()) == before


@pytest.mark.parametrize("kind", ["openvino", "torch"])
def test_weights_that_do_not_fit(kind: str, tmp_path: Path) -> None:
    state = FruitCNN().state_dict()
    state["fc3.bias"] = torch.zeros(4)
    folder = folder_of(tmp_path / f"app_misfit_{kind}")
    save_file(state, folder.artifacts / "a.safetensors")

    with pytest.raises(WeightsError) as caught:
        open_engine(folder, choose(folder), settings(tmp_path / "cache", engine=kind))

    assert str(caught.value) == "a.safetensors does not fit the model: fc3.bias has shape (4,), expected (3,)"
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("kind", ["openvino", "torch"])
def test_several_threads_at_once(kind: str, cache: Path, small: Folder, seen: list[NDArray[np.uint8]]) -> None:
    engine = open_engine(small, choose(small), settings(cache, engine=kind))
    alone = [engine.score(pixels) for pixels in seen]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(engine.score, seen * 10))

    assert all(np.allclose(found, wanted, atol=1e-6) for found, wanted in zip(together, alone * 10, strict=True))


def test_an_answer_is_not_overwritten_by_the_next(cache: Path, small: Folder, seen: list[NDArray[np.uint8]]) -> None:
    engine = open_engine(small, choose(small), settings(cache))

    first = engine.score(seen[0])
    before = first.copy()
    engine.score(255 - seen[0])

    assert np.array_equal(first, before)


def test_vgg16_is_right_on_the_projects_own_photos(samples: Path, engines: dict[str, Engine]) -> None:
    photos = photos_of(samples)
    if not photos:
        pytest.skip("no photos in sample_data")

    found = {
        photo: CLASSES[int(engines["vgg16"].score(to_pixels(decode(photo.read_bytes(), 10**8, SIDE), VIEW)).argmax())]
        for _, photo in photos
    }

    assert {photo.name: found[photo] for shown, photo in photos if found[photo] != shown} == {}
