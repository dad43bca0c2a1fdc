"""``make run``, on a copy of the project whose ports are free ones."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import requests

from local.parts import taken_ports
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

    assert answered == ["custom", "vgg16"] * 10
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

    assert re.search("vgg16 cannot start: no model in .*artifacts: put its file there", project.said())
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


def test_a_second_copy_takes_the_next_ports(project: Project, tmp_path: Path, photo: bytes) -> None:
    (tmp_path / "second").mkdir()
    second = Project(tmp_path / "second")
    # As people start it: another PORT, and all else as in the first.
    shutil.copy(project.folder / "variants" / "variants.toml", second.folder / "variants")
    second.environment["EXPERIMENT_PORT"] = project.environment["EXPERIMENT_PORT"]
    with contextlib.ExitStack() as running:
        for copy in (project, second):
            running.enter_context(copy.started())
            eventually(lambda copy=copy: f"Ready: http://localhost:{copy.port}" in copy.said())  # type: ignore[misc]
            assert f"http://localhost:{copy.port}/experiment" in copy.said()
            assert f"http://localhost:{copy.port}/docs" in copy.said()
        changed = second.abtest("promote", "vgg16")
        assert "In force" in changed.stdout, changed.stderr
        assert set(_variants(second, photo, 2)) == {"vgg16"}
        assert set(_variants(project, photo, 2)) == {"custom", "vgg16"}
        alone = dict(re.findall(r"(\w+) (http://localhost:\d+)", second.said().partition("Each alone")[2]))
        for name, url in alone.items():
            assert requests.get(f"{url}/readyz", timeout=10).json()["variant"] == name
            assert url not in project.said()
    assert len(alone) == 2


def test_an_end_leaves_nothing_and_says_nothing(project: Project) -> None:
    """Whenever it comes: also before all parts have started."""
    for begun in ("started", "experiment started", "Ready: "):
        with project.started() as process:
            eventually(lambda begun=begun: begun in project.said())  # type: ignore[misc]
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        after = project.said().partition("Ending.")[2]
        assert not re.search("Traceback|[Tt]erminated|[Ee]rror|rc=|SIG", after), after
        assert taken_ports(project.ports()) == []
        pids = [int(pid) for pid in re.findall(r"started \(pid=(\d+)\)", project.said())]
        assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
