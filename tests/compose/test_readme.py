"""Every command of the README and of docs/operations.md, run as it stands."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from local.parts import ROOT
from tests.checks import commands_in
from tests.compose.conftest import Stack
from tests.system import eventually, free_port

README = (ROOT / "README.md").read_text()
# Pages of several may say the same command.
COMMANDS = list(dict.fromkeys(commands_in(README + (ROOT / "docs" / "operations.md").read_text())))

# Those that another test runs, in the same words or as the process behind them.
ELSEWHERE = {
    "docker-compose up --build": "the fixture `stack`",
    "make run": "tests/local/test_make_run.py, and .ci/run for its installation",
    "python download_models.py": "tests/download",
    "docker-compose up --detach --scale app_vgg16=3": "test_replicas_do_not_change_the_split",
}
ALONE = [
    "docker build -f app_vgg16/Dockerfile -t app_vgg16 .",
    "docker run --rm --detach --name vgg16-alone --publish 127.0.0.1:8018:8008 app_vgg16",
]
VIRTUAL = [
    "python3 -m venv .venv",
    ".venv/bin/pip install -c constraints.txt -r app_vgg16/requirements.txt",
    ".venv/bin/python -m serving app_vgg16",
]
HERE = [command for command in COMMANDS if command not in [*ELSEWHERE, *ALONE, *VIRTUAL]]


def test_no_command_is_left_out() -> None:
    assert set(COMMANDS) == {*ELSEWHERE, *ALONE, *VIRTUAL, *HERE}
    assert [command for command in COMMANDS if command in ALONE] == ALONE
    assert [command for command in COMMANDS if command in VIRTUAL] == VIRTUAL


@pytest.mark.parametrize("command", HERE)
def test_command(stack: Stack, command: str) -> None:
    done = subprocess.run(
        ["bash", "-ec", command.replace("http://localhost", stack.url)],
        cwd=ROOT,
        env=stack.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert done.stdout.strip()
    assert '"detail"' not in done.stdout


def test_the_answer_shown_is_what_comes(stack: Stack) -> None:
    (block,) = re.findall(r"^```json\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    shown = json.loads(block)
    photo = ROOT / "sample_data" / shown["likely_class"] / shown["filename"]
    answer = requests.post(
        f"{stack.url}/predict",
        files={"file": (photo.name, photo.read_bytes(), "image/jpeg")},
        headers={"X-Variant": shown["variant"]},
        timeout=60,
    ).json()

    assert answer.keys() == shown.keys()
    # Processors differ in the arithmetic they are fast at.
    assert answer.pop("probability") == pytest.approx(shown.pop("probability"), abs=0.05)
    assert answer.pop("probabilities") == pytest.approx(shown.pop("probabilities"), abs=0.05)
    assert {**answer, "request_id": shown["request_id"]} == shown


def test_one_variant_alone_in_a_container(docker_compose: list[str]) -> None:
    assert docker_compose
    port = free_port()
    for command in ALONE:
        arguments = command.replace("127.0.0.1:8018", f"127.0.0.1:{port}").split()
        subprocess.run(arguments, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: requests.get(f"http://127.0.0.1:{port}/readyz", timeout=5).json()["ready"])
    finally:
        subprocess.run(["docker", "stop", "vgg16-alone"], check=True, stdout=subprocess.DEVNULL)


def test_one_variant_alone_in_a_virtual_environment(tmp_path: Path) -> None:
    for part in ("app_vgg16", "look", "serving", "variants"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "constraints.txt", tmp_path)
    port = free_port()
    environment = {**os.environ, "PORT": str(port)}
    venv, install, serve = VIRTUAL
    subprocess.run([sys.executable, *venv.split()[1:]], cwd=tmp_path, check=True)
    subprocess.run(install.split(), cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    with subprocess.Popen(serve.split(), cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: requests.get(f"http://127.0.0.1:{port}/readyz", timeout=5).json()["ready"])
        finally:
            process.terminate()
