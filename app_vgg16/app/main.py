"""The candidate."""

from pathlib import Path

from serving.app import create_app
from serving.variant import Variant

app = create_app(
    Variant(
        name="vgg16",
        artifacts=Path(__file__).with_name("artifacts"),
        published="transfer_learning_model.pt",
        model="app_vgg16.app.model",
        large=True,
    )
)
