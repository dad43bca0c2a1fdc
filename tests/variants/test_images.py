"""The images of all variants share their libraries."""

import pytest

from local.parts import ROOT


@pytest.mark.parametrize("folder", ["app_custom", "app_vgg16"])
def test_libraries_are_built_once_for_all_variants(folder: str) -> None:
    def steps(name: str) -> list[str]:
        """Up to the libraries; comments make no difference to the layers."""
        text = (ROOT / name / "Dockerfile").read_text().partition("COPY serving/requirements.txt")[0]
        return [line for line in text.splitlines() if line and not line.startswith(("#", "ARG FOLDER", "ENV FOLDER"))]

    assert steps(folder) == steps("serving")
    assert any("requirements.lock" in step for step in steps(folder))
