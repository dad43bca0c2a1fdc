"""The base images' digests: which images, and where Compose finds them."""

from pathlib import Path

import pytest

from local.parts import ROOT
from supply import pin


def test_the_tags_are_those_that_images_are_built_on() -> None:
    for dockerfile in ROOT.glob("*/Dockerfile"):
        text = dockerfile.read_text()
        bases = [line for line in text.splitlines() if line.startswith("FROM ")]
        for base in bases:
            name = base.split()[1].removeprefix("${").removesuffix("}")
            assert f"ARG {name}={pin.BASES[name]}\n" in text, dockerfile
    compose = (ROOT / "docker-compose.yml").read_text()
    for name, tag in pin.BASES.items():
        assert f"${{{name}:-{tag}}}" in compose


def test_other_settings_stay(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=81\nPYTHON_IMAGE=python:3.11@sha256:00\nLOG=json\n")

    pin.write(tmp_path / ".env", {"PYTHON_IMAGE": "a", "NGINX_IMAGE": "b"})

    assert (tmp_path / ".env").read_text() == "PORT=81\nLOG=json\nPYTHON_IMAGE=a\nNGINX_IMAGE=b\n"


def test_without_docker_nothing_changes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "")
    written: list[Path] = []
    monkeypatch.setattr(pin, "write", lambda path, _: written.append(path))

    assert pin.main() == 1
    assert "python:3.11-slim-bookworm was not pinned: " in capsys.readouterr().err
    assert not written
