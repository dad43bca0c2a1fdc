"""What a ``preprocessor_config.json`` says, in the words of ``[input]``."""

import json
from pathlib import Path
from typing import Any

import pytest

from serving.models.errors import ModelError
from serving.models.networks.hugging_face import stated_input

CROP = {"do_center_crop": True, "crop_size": {"height": 224, "width": 224}}


@pytest.mark.parametrize(
    ("said", "stated"),
    [
        ({"size": {"height": 224, "width": 196}, "resample": 3}, {"size": (224, 196), "fit": "squash"}),
        ({"size": 224, "image_processor_type": "ViTImageProcessor"}, {"size": (224, 224), "fit": "squash"}),
        ({"size": {"shortest_edge": 256}, **CROP}, {"size": (224, 224), "resize": 256}),
        ({"size": 256, "feature_extractor_type": "MobileNetV2FeatureExtractor", **CROP}, {"resize": 256}),
        ({"size": {"shortest_edge": 224}, "do_center_crop": False, **{"crop_size": 200}}, {"size": 224}),
        (
            {"size": {"shortest_edge": 224}, "image_processor_type": "ConvNextImageProcessor", "crop_pct": 0.875},
            {"size": 224, "resize": 256},
        ),
        (
            {"size": {"shortest_edge": 384}, "image_processor_type": "ConvNextImageProcessor"},
            {"size": 384, "fit": "squash"},
        ),
        ({"size": 8, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}, {"mean": (0.5,) * 3, "std": (0.25,) * 3}),
        ({"size": 8, "do_normalize": False}, {"mean": (0.0,) * 3, "std": (1.0,) * 3}),
        ({"size": 8, "resample": 1}, {"interpolation": "lanczos"}),
    ],
)
def test_what_is_stated(said: dict[str, Any], stated: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))

    assert stated.items() <= stated_input(tmp_path).items()


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ('{"size": 8, "do_flip_channel_order": true}', "blue, green, red"),
        ('{"size": 8, "rescale_factor": 0.00784}', "another range"),
        (
            '{"size": {"height": 256, "width": 256}, "do_center_crop": true, "crop_size": 224}',
            "squashes and then crops",
        ),
        ('{"size": {"longest_edge": 8}}', "cannot be understood"),
        ("[1]", "cannot be understood"),
        ("{", "cannot be understood"),
    ],
)
def test_what_is_not_done_here(said: str, wrong: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(said)

    with pytest.raises(ModelError, match=wrong):
        stated_input(tmp_path)


def test_where_nothing_is_said(tmp_path: Path) -> None:
    assert stated_input(tmp_path) == {}
