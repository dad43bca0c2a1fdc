"""The variant in production."""

from pathlib import Path

from serving.app import create_app
from serving.variant import Variant

app = create_app(
    Variant(
        name="custom",
        artifacts=Path(__file__).with_name("artifacts"),
        published="fruit_classifier_state_dict.pt",
        model="app_custom.app.model",
    )
)
