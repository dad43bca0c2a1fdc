"""Classes are any text, wherever a variant says them."""

import json
import logging
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families

from local.parts import ROOT
from tests.serving.apps import app_of, send, variant_in
from tests.system import eventually

CLASSES = ("crack/chip", "Kratzer groß", "キズ", 'so "called" \\ one', "🍋", "x" * 200)
# What nginx writes into the ledger as it comes: JSON text, between its quotes.
TAKEN = re.compile(r"([ !#-\[\]-~]|\\[\"\\/bfnrt]|\\u[0-9a-f]{4})+")


@pytest.mark.parametrize("number", range(len(CLASSES)), ids=range(len(CLASSES)))
def test_a_class_is_any_text(number: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    name = CLASSES[number]

    def score(_: NDArray[np.uint8]) -> NDArray[np.float32]:
        scores = np.full(len(CLASSES), 0.02, np.float32)
        scores[number] = 0.9
        return scores

    with app_of(variant_in(tmp_path, CLASSES), score) as client, caplog.at_level(logging.INFO, "serving"):
        eventually(lambda: client.get("/readyz").is_success)
        answer, page = send(client), send(client, path="/result/")
        families = text_string_to_metric_families(client.get("/metrics").text)
        counted = [sample for family in families for sample in family.samples if "predicted_class" in sample.name]
        described = client.get("/openapi.json").json()["info"]["description"]

    header = answer.headers["X-Predicted-Class"]
    assert header.isascii()
    assert TAKEN.fullmatch(header)
    assert json.loads(f'"{header}"') == name
    assert answer.json()["likely_class"] == name
    assert list(answer.json()["probabilities"]) == list(CLASSES)
    assert page.status_code == 200
    assert f"<title>{name[0].upper()}{name[1:]} – " in unescape(page.text)
    assert [sample.labels["class"] for sample in counted if sample.name.endswith("_total")] == [name]
    said = set(re.findall(r"class=(.*?) p=0\.90 ", caplog.text))
    assert said in ({name}, {json.dumps(name, ensure_ascii=False)})
    assert CLASSES[0] in described


def test_nothing_in_serving_is_about_the_given_variants() -> None:
    """What is theirs is in their folders."""
    files = list((ROOT / "serving").rglob("*.py"))
    assert len(files) > 30
    for path in files:
        found = re.search(r"(?i)\bfruits?\b|\bapples?\b|\bgrapes?\b|\blemons?\b|\b150\b", path.read_text())
        assert not found, f"{path} says {found[0]}"
