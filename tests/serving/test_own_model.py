"""A model of somebody's own, served as they would: a file in a folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from local.parts import ROOT
from tests.serving.models.made import folder_in
from tests.serving.photos import encoded, quarters
from tests.serving.test_check import colours
from tests.system import eventually, free_port

LIST = """classes = ["crack/chip", "Kratzer groß", "キズ"]

[[variant]]
name = "mine"
service = "app_mine"
port = {port}
"""


def test_an_onnx_file_and_nothing_else_is_a_variant(tmp_path: Path) -> None:
    """With classes of its own; three photos wait at once."""
    colours(folder_in(tmp_path, "mine"))
    port = free_port()
    (tmp_path / "variants.toml").write_text(LIST.format(port=port), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "VARIANTS": str(tmp_path / "variants.toml"), "PORT": ""}
    # A terminal that cannot show the classes.
    environment |= {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    log = tmp_path / "log.txt"
    with log.open("wb") as out:
        served = subprocess.Popen(
            [sys.executable, "-m", "serving", "app_mine"], cwd=tmp_path, env=environment, stdout=out, stderr=out
        )
    try:
        url = f"http://127.0.0.1:{port}"

        def ready() -> bool:
            assert served.poll() is None, log.read_text()
            return requests.get(f"{url}/readyz", timeout=5).ok

        eventually(ready, 120)
        subprocess.run([sys.executable, "-m", "serving.health", "app_mine"], cwd=ROOT, env=environment, check=True)
        answer = requests.post(f"{url}/predict", files={"file": encoded(quarters(), "JPEG")}, timeout=60)
    finally:
        served.terminate()
        served.wait(60)

    assert answer.status_code == 200
    assert answer.json()["variant"] == "mine"
    assert set(answer.json()["probabilities"]) == {"crack/chip", "Kratzer groß", "キズ"}
    assert answer.headers["X-Predicted-Class"].isascii()
    said = log.read_text()
    assert "Logging error" not in said
    assert re.search(r'^mine request_id=\w+ class=("Kratzer gro\\xdf"|crack/chip|\\u30ad\\u30ba) p=', said, re.M)


def dockerfiles() -> list[Path]:
    return [*sorted(ROOT.glob("app_*/Dockerfile")), ROOT / "serving" / "Dockerfile"]


@pytest.mark.parametrize("path", dockerfiles(), ids=lambda path: path.parent.name)
def test_an_image_takes_pytorchs_builds_for_cpus_and_may_read_its_weights(path: Path) -> None:
    text = path.read_text().replace("\\\n", " ")
    user = re.search(r"^USER (\d+)$", text, re.M)
    assert user
    folder = "${FOLDER}" if path.parent.name == "serving" else path.parent.name
    assert re.search(rf"^COPY --chown={user[1]} {re.escape(folder)} {re.escape(folder)}$", text, re.M)
    (own,) = re.findall(r'pip install [^|&\n]*-r "?(?:app_\w+|\$FOLDER)/requirements.txt', text)
    assert '${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"}' in own


def test_make_run_installs_what_a_variant_needs(tmp_path: Path) -> None:
    for name in ("Makefile", "constraints.txt", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "app_mine").mkdir()
    (tmp_path / "app_mine" / "requirements.txt").write_text("timm\n")

    planned = subprocess.run(
        ["make", "--dry-run", ".venv/.run", "TORCH_INDEX=https://index"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    (line,) = [line for line in planned.splitlines() if "app_mine/requirements.txt" in line]
    assert "--extra-index-url https://index" in line


def test_a_gpu_by_composes_override(docker_compose: list[str]) -> None:
    files = ["-f", "docker-compose.yml", "-f", "docker-compose.gpu.yml"]
    merged = subprocess.run(
        [*docker_compose, *files, "config"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    served = merged[merged.index("  app_vgg16:") :]
    assert "DEVICE: cuda" in served
    assert re.search(r"capabilities:\s+- gpu", served)
    assert re.search(r"TORCH_INDEX: ['\"]{2}", served)
    assert "DEVICE" not in merged[: merged.index("  app_vgg16:")]
