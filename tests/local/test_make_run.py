"""``make run``, on a copy of the project whose ports are free ones."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import requests

from local.ports import taken_ports
from tests.project import Project
from tests.system import eventually


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def _variants(project: Project, photo: bytes, count: int) -> list[str]:
    answers = [requests.post(f"{project.url}/predict", files={"file": photo}, timeout=60) for _ in range(count)]
    return [answer.headers["X-Variant"] for answer in answers]


def test_it_says_where_it_is_serves_in_turn_and_ends_whole(project: Project, photo: bytes) -> None:
    with project.started() as process:
        eventually(lambda: f"Ready: http://localhost:{project.port}" in project.said())
        answered = _variants(project, photo, 20)
        process.send_signal(signal.SIGINT)
        process.wait(60)

    assert Counter(answered) == {"custom": 10, "vgg16": 10}
    assert all(first != second for first, second in pairwise(answered))
    assert taken_ports(project.ports()) == []
    assert "Traceback" not in project.said()


def test_a_taken_port_is_said_in_one_line(project: Project) -> None:
    with project.started() as process:
        eventually(lambda: "Ready: " in project.said())
        second = subprocess.run(
            [sys.executable, "-m", "local"],
            cwd=project.folder,
            env=project.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.poll() is None

    assert second.returncode == 1
    expected = (
        f"Port {project.port} is taken. End what listens there, or choose another: make run PORT={project.port + 1}."
    )
    assert second.stderr == f"{expected}\n"


def test_a_port_that_is_none(project: Project) -> None:
    project.environment["PORT"] = "eighty"
    with project.started() as process:
        assert process.wait(60) == 1

    assert project.said() == "PORT=eighty is not a port number.\n"


def test_a_dead_part_ends_all(project: Project) -> None:
    with project.started() as process:
        eventually(lambda: "Ready: " in project.said())
        found = re.search(r"app_vgg16 started \(pid=(\d+)\)", project.said())
        assert found
        os.kill(int(found[1]), signal.SIGKILL)
        assert process.wait(60) != 0

    assert "app_vgg16 ended, so everything was stopped." in project.said()
    assert taken_ports(project.ports()) == []


def test_a_missing_file_is_named(project: Project) -> None:
    (project.folder / "app_vgg16" / "app" / "artifacts" / "starter.safetensors").unlink()
    with project.started() as process:
        assert process.wait(60) != 0

    assert re.search(
        r"vgg16 cannot start: no weights in .*artifacts: neither transfer_learning_model\.pt", project.said()
    )
    assert "app_vgg16 ended, so everything was stopped." in project.said()


def test_a_third_variant_is_a_folder_and_an_entry(project: Project, photo: bytes) -> None:
    project.add_variant("third")
    with project.started():
        eventually(lambda: "Ready: " in project.said())
        assert Counter(_variants(project, photo, 9)) == {"custom": 3, "vgg16": 3, "third": 3}
        changed = project.abtest("split", "custom=50", "vgg16=30", "third=20")
        assert changed.stdout == "In force: weighted custom=50 vgg16=30 third=20 (epoch 2)\n"
        for _ in range(2):
            assert Counter(_variants(project, photo, 10)) == {"custom": 5, "vgg16": 3, "third": 2}
        status = project.abtest("status").stdout

    assert re.search(r"third +│ yes +│ 20 %", status)
