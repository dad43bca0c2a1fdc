"""The candidate, for servers that want an ASGI application: ``uvicorn app_vgg16.app.main:app``."""

from pathlib import Path

from serving.app import create_app
from serving.variant import listed

app = create_app(listed(Path(__file__).parents[1]))
