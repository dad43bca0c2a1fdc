import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from app_custom.app.model import build
from app_vgg16.app.model import FruitVGG16
from local.parts import ROOT
from serving.models.networks.weights import load
from tests.training.conftest import Orchard
from training import bank, network, train
from training.photos import CLASSES, find, pixels
from training.photos import load as load_photo


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A variant of one's own, without weights, in a folder of one's own."""
    (tmp_path / "app_mine").mkdir()
    shutil.copy(ROOT / "app_custom/app/model.py", tmp_path / "app_mine/model.py")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "app_mine/artifacts/starter.safetensors"


def test_from_nothing_a_network_learns_what_can_be_served(
    orchard: Orchard, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = orchard(20)
    train.main("app_mine", photos, steps=30)
    printed = capsys.readouterr().out
    net = load(mine, import_module("app_mine.model").build)
    seen = torch.stack([pixels(load_photo(photo.path)) for photo in find(photos)])
    right = [
        photo.label == answer
        for photo, answer in zip(find(photos), bank.answered(net, seen.numpy()).argmax(1), strict=True)
    ]
    assert sum(right) > 40
    with safe_open(mine, "pt") as opened:
        assert json.loads(opened.metadata()["classes"]) == list(CLASSES)
    assert 0 < len(network.aside(find(photos), mine)) < 15
    assert " of the validation photos are right; temperature " in printed
    assert not list(mine.parent.glob("*.part"))
    assert mine.stat().st_mode & 0o004
    assert len(list(bank.CACHE.rglob("curve.png"))) == 1


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(
    orchard: Orchard, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = orchard(12)
    train.main("app_mine", photos, steps=10, out=mine)
    whole = load_file(mine)
    mine.unlink()
    next(bank.CACHE.rglob("checkpoint.pt")).unlink()
    looks: list[int] = []
    answered = bank.answered

    def stop(*given: Any) -> torch.Tensor:
        looks.append(1)
        if len(looks) == 4:
            raise KeyboardInterrupt
        return answered(*given)

    monkeypatch.setattr(bank, "answered", stop)
    with pytest.raises(KeyboardInterrupt):
        train.main("app_mine", photos, steps=10, out=mine)
    train.main("app_mine", photos, steps=10, out=mine)
    assert len(looks) == 4 + 7 + 1  # the three looks that were saved are not looked at again; the last calibrates
    resumed = load_file(mine)
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_frozen_layers_stay_a_teacher_teaches_and_what_was_left_out_is_measured(
    orchard: Orchard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, features = orchard(8), tmp_path / "features.safetensors"
    fresh = network.fresh
    small = FruitVGG16(ranks=(4, 3), pooled=False)
    monkeypatch.setattr(
        network, "fresh", lambda app: FruitVGG16(ranks=(4, 3), pooled=False) if app == "app_vgg16" else fresh(app)
    )
    state = {name: value.half() for name, value in small.state_dict().items() if name.startswith("features.")}
    save_file(state, features)
    train.main("app_vgg16", photos, start=features, freeze=28, steps=2, without="shop")
    assert "| shop | 6 | " in capsys.readouterr().out
    learnt = load_file(bank.CACHE / "app_vgg16/without-shop.safetensors")
    assert torch.equal(learnt["features.26.weight"], state["features.26.weight"])
    assert not torch.equal(learnt["features.28.weight"], state["features.28.weight"])
    train.main("app_custom", photos, teacher="app_vgg16", steps=2, without="shop")
    assert "| shop | 6 | " in capsys.readouterr().out
    assert torch.load(bank.CACHE / "app_custom/without-shop.pt")[1].tolist() == [0, 0, 1, 1, 2, 2]


def test_the_variants_own_weights_are_the_start_but_where_a_source_is_left_out(
    orchard: Orchard, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine.parent.mkdir()
    shutil.copy(network.starter(str(ROOT / "app_custom")), mine)
    started: list[int] = []
    start = network.start

    def counted(net: nn.Module, state: dict[str, torch.Tensor]) -> None:
        started.append(len(state))
        start(net, state)

    monkeypatch.setattr(network, "start", counted)
    photos = orchard(8)
    before = load_file(mine)
    train.main("app_mine", photos, steps=1, rate=1e-5)
    train.main("app_mine", photos, steps=1, without="web")
    assert started == [len(before), 0]
    assert (load_file(mine)["conv1.weight"] - before["conv1.weight"]).abs().max() < 1e-3


def test_other_classes_get_a_last_layer_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "CLASSES", ("ripe", "unripe", "bad", "other", "none"))
    net = network.fresh("app_custom")
    assert net(torch.zeros(1, 3, 150, 150)).shape == (1, 5)
    given, last = load_file(network.starter("app_custom")), net.state_dict()["fc3.weight"].clone()
    network.start(net, given)
    assert torch.equal(net.state_dict()["fc2.weight"], given["fc2.weight"].float())
    assert torch.equal(net.state_dict()["fc3.weight"], last)


def test_the_temperature_folds_into_the_last_layer(tmp_path: Path) -> None:
    file, photos = tmp_path / "divided.safetensors", torch.randn(4, 3, 150, 150)
    net = load(network.starter("app_custom"), build)
    network.write(net, file, 2.0, [])
    torch.testing.assert_close(load(file, build)(photos), net(photos) / 2, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    ("app", "sentence"),
    [("app_none", "app_none is not the folder of a variant"), ("app_mine", f"no photos of {CLASSES[0]}")],
)
def test_what_is_not_there_is_said(mine: Path, tmp_path: Path, app: str, sentence: str) -> None:
    photos = tmp_path / "photos"
    command = [sys.executable, "-m", "training.train", app, str(photos)]
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert ended.returncode == 1
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr
