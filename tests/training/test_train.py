import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from app_vgg16.app.model import FruitVGG16
from serving.models.networks.weights import load
from tests.training.conftest import Orchard
from training import bank, network, sources, train
from training.photos import CLASSES, find


def _train(app: str, photos: Path, *options: object) -> None:
    train.main([app, str(photos), "--views", "24", "--batch", "12", *map(str, options)])


def test_from_nothing_a_network_learns_what_can_be_served(
    orchard: Orchard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = orchard(20), tmp_path / "weights.safetensors"
    _train("app_custom", photos, "--fresh", "--steps", 30, "--out", out)
    printed = capsys.readouterr().out
    facts = network.open_weights(out)[1]
    assert load(out, import_module("app_custom.app.model").build)
    with safe_open(out, "pt") as opened:
        assert json.loads(opened.metadata()["classes"]) == list(CLASSES)
    assert facts["validation"]
    assert set(facts["validation"]) < {photo.name for photo in find(photos)}
    assert float(printed.split(" of the validation photos")[0].split("\n")[-1].split()[0]) > 0.4
    assert not list(tmp_path.rglob("*.part"))
    assert len(list(bank.CACHE.rglob("curve.png"))) == 1


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(
    orchard: Orchard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, out = orchard(12), tmp_path / "weights.safetensors"
    options = ("--fresh", "--steps", 10, "--out", out)
    _train("app_custom", photos, *options)
    whole = load_file(out)
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
        _train("app_custom", photos, *options)
    _train("app_custom", photos, *options)
    assert len(looks) == 4 + 7 + 1  # the three looks that were saved are not looked at again; the last calibrates
    resumed = load_file(out)
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
    without = ("--without", "shop")
    _train("app_vgg16", photos, "--start", features, "--freeze", 28, "--steps", 2, *without)
    _train("app_custom", photos, "--fresh", "--teacher", "app_vgg16", "--steps", 2, *without)
    learnt = load_file(train.without("app_vgg16", "shop"))
    assert torch.equal(learnt["features.26.weight"], state["features.26.weight"])
    assert not torch.equal(learnt["features.28.weight"], state["features.28.weight"])
    for app in ("app_vgg16", "app_custom"):
        capsys.readouterr()
        sources.main([app, str(photos), "--views", "24"])
        printed = capsys.readouterr().out
        assert "| shop | 6 | " in printed
        assert "Temperature: " in printed


def test_other_classes_get_a_last_layer_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "CLASSES", ("ripe", "unripe", "bad", "other", "none"))
    net = network.fresh("app_custom")
    assert net(torch.zeros(1, 3, 150, 150)).shape == (1, 5)
    taken = network.start(net, network.open_weights(network.starter("app_custom"))[0])
    assert "fc2.weight" in taken
    assert "fc3.weight" not in taken


def test_what_is_learnt_blends_with_the_start(orchard: Orchard, tmp_path: Path) -> None:
    photos, start = orchard(8), load_file(network.starter("app_custom"))
    _train("app_custom", photos, "--steps", 2, "--blend", 0, "--temperature", 1, "--out", tmp_path / "same.safetensors")
    _train("app_custom", photos, "--steps", 2, "--temperature", 1, "--out", tmp_path / "other.safetensors")
    same, other = (load_file(tmp_path / f"{name}.safetensors") for name in ("same", "other"))
    assert all(torch.equal(same[name], start[name]) for name in start)
    assert not all(torch.equal(other[name], start[name]) for name in start)


def test_norms_and_temperature_fold_into_the_layers() -> None:
    net = network.fresh("app_custom")
    names = set(net.state_dict())
    network.insert_norms(net, {"conv2.weight"})
    assert "conv1.1.running_mean" in net.state_dict()
    assert "conv2.weight" in net.state_dict()
    net(torch.randn(8, 3, 150, 150))
    photos = torch.randn(4, 3, 150, 150)
    with torch.no_grad():
        expected = net.eval()(photos)
        network.fold_norms(net)
        assert set(net.state_dict()) == names
        torch.testing.assert_close(net(photos), expected, rtol=1e-3, atol=1e-4)
        network.fold_temperature(net, 2.0)
        torch.testing.assert_close(net(photos), expected / 2, rtol=1e-3, atol=1e-4)
