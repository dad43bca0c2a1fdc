"""``python -m abtest``, where the command is not installed."""

from abtest.cli import app

app(prog_name="abtest")
