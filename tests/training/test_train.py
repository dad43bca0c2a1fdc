import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from app_vgg16.app.model import FruitVGG16
from tests.training.conftest import Orchard
from training import _memory, starter, train
from training.photos import CLASSES


def _losses(printed: str, name: str) -> list[float]:
    return [float(line.split()[4]) for line in printed.splitlines() if line.startswith(name)]


def test_the_small_network_learns_and_is_written(
    orchard: Orchard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = orchard(8), tmp_path / "starter.safetensors"
    train.main(["custom", str(folder), "--bank", "48", "--steps", "20", "--batch", "12", "--out", str(out)])
    losses = _losses(capsys.readouterr().out, "custom")
    assert sum(losses[-5:]) < sum(losses[:5])
    with safe_open(out, "pt") as opened:
        assert json.loads(opened.metadata()["classes"]) == list(CLASSES)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []
    assert starter.read("custom", out)


def test_vgg16_starts_from_a_backbone_and_then_teaches(
    orchard: Orchard, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "_RANKS", (4, 3))
    folder, backbone, out = orchard(4), tmp_path / "features.safetensors", tmp_path / "vgg16.safetensors"
    features = {k: v.half() for k, v in FruitVGG16(ranks=(4, 3)).state_dict().items() if k.startswith("features.")}
    save_file(features, backbone)
    arguments = ["--backbone", str(backbone), "--bank", "4", "--steps", "2", "--batch", "4", "--out", str(out)]
    train.main(["vgg16", str(folder), *arguments])
    printed = capsys.readouterr().out
    assert _losses(printed, "head")
    assert _losses(printed, "vgg16")
    learnt = starter.read("vgg16", out).state_dict()
    unchanged, tuned = "features.0.weight", "features.28.weight"
    assert torch.equal(learnt[unchanged], features[unchanged].float())
    assert not torch.equal(learnt[tuned], features[tuned].float())
    student = tmp_path / "custom.safetensors"
    arguments = ["--teacher", str(out), "--bank", "4", "--steps", "1", "--batch", "4", "--out", str(student)]
    train.main(["custom", str(folder), *arguments])
    assert starter.read("custom", student)


def test_without_a_backbone_torchvisions_is_taken(
    orchard: Orchard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[dict[str, torch.Tensor]] = []

    def vgg16(_views: object, state: dict[str, torch.Tensor], *_: object) -> nn.Module:
        taken.append(state)
        return nn.Linear(1, 1)

    monkeypatch.setattr(train, "imagenet_features", lambda: {"features.0.weight": torch.ones(1)})
    monkeypatch.setattr(train, "vgg16", vgg16)
    train.main(["vgg16", str(orchard(1)), "--out", str(tmp_path / "x.safetensors")])
    assert list(taken[0]) == ["features.0.weight"]


def test_other_systems_keep_their_allocator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    _memory.keep()
