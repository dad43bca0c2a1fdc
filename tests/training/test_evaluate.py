from pathlib import Path

import pytest

from serving.variant import listed
from tests.training.conftest import Orchard
from training import evaluate
from training.evaluate import served_and_reference
from training.network import aside, starter
from training.photos import CLASSES, find
from variants import VARIANTS


@pytest.mark.given_classes
@pytest.mark.parametrize("name", ["custom", "vgg16"])
def test_the_answers_served_are_the_references(fruits: Path, name: str) -> None:
    photos = aside(find(fruits), starter(f"app_{name}"))[::6]
    _, served, reference = served_and_reference(listed(Path(f"app_{name}")), photos)
    assert len(photos) > 50
    assert float((served.argmax(1) == reference.argmax(1)).float().mean()) >= 0.98
    assert float((served - reference).abs().mean()) <= 0.02


def test_the_command_scores_every_variant_as_it_is_served(orchard: Orchard, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate.main(orchard(4))
    printed = capsys.readouterr().out
    for variant in VARIANTS:
        assert f"{variant.name} (starter.safetensors, openvino " in printed
    assert printed.count("precision    recall") == len(VARIANTS)
    assert printed.count("12 photos, of which none is known to be set aside in training") == len(VARIANTS)
    assert printed.count("The same class as PyTorch in float32 on ") == len(VARIANTS)
    assert all(name in printed for name in CLASSES)


def test_where_photos_were_set_aside_only_those_are_scored(
    orchard: Orchard, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "VARIANTS", VARIANTS[:1])
    monkeypatch.setattr(evaluate, "aside", lambda photos, weights: photos[::2])
    evaluate.main(orchard(2))
    assert ", 3 photos, set aside in training" in capsys.readouterr().out
