"""The candidate, for servers that want an ASGI application: ``uvicorn app_vgg16.app.main:app``."""

from pathlib import Path

from serving.variant import listed
from serving.web.app import create_app

app = create_app(listed(Path(__file__).parents[1]))
