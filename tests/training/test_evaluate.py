from pathlib import Path

import pytest

from serving.variant import listed
from tests.training.conftest import Orchard
from training import evaluate
from training.evaluate import held_out, served_and_reference
from training.network import starter
from training.photos import CLASSES, find
from variants import VARIANTS


@pytest.mark.given_classes
@pytest.mark.parametrize("name", ["custom", "vgg16"])
def test_the_answers_served_are_the_references(fruits: Path, name: str) -> None:
    photos = held_out(find(fruits), starter(f"app_{name}"))[::6]
    _, served, reference = served_and_reference(listed(Path(f"app_{name}")), photos)
    assert len(photos) > 50
    assert float((served.argmax(1) == reference.argmax(1)).float().mean()) >= 0.98
    assert float((served - reference).abs().mean()) <= 0.02


def test_the_command_scores_every_variant_as_it_is_served(orchard: Orchard, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate.main([str(orchard(4)), "--all"])
    printed = capsys.readouterr().out
    for variant in VARIANTS:
        assert f"{variant.name} (starter.safetensors, openvino " in printed
    assert printed.count("| class | photos | recall |") == len(VARIANTS)
    assert printed.count("on 12 photos") == len(VARIANTS)
    assert printed.count("Against PyTorch in float32 on fully decoded photos") == len(VARIANTS)
    assert all(name in printed for name in CLASSES)


def test_without_photos_set_aside_that_is_said(orchard: Orchard, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        evaluate.main([str(orchard(1))])
    assert "--all takes them all" in capsys.readouterr().err
