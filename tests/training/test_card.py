from pathlib import Path

import pytest

from app_custom.app.model import FruitCNN
from tests.training.conftest import Orchard
from training import card, starter


def test_the_card_states_what_was_measured(orchard: Orchard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = orchard(8)
    starter.write(FruitCNN(), starter.path("custom"), {})
    card.main(["custom", str(folder), "--held-out", str(starter.path("custom")), "shop"])
    text = starter.path("custom").with_name("MODEL_CARD.md").read_text(encoding="utf-8")
    assert "`starter.safetensors`: 4.5 MB" in text
    assert "| apple | web | 5 | 1 |" in text
    assert "| on a plate | " in text
    assert "| all 6 of shop, by a model trained without any | " in text
    assert "CC BY 4.0" in text
