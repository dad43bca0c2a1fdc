import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.measuring.load import Target
from benchmarks.measuring.servers import Server, ServerError, awake, memory_mb, tree

_CHILD = "import time; time.sleep(60)"
_PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', '{_CHILD}']); {_CHILD}"


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_tree_is_stopped_and_goes_on() -> None:
    with subprocess.Popen([sys.executable, "-c", _PARENT]) as parent:
        try:
            deadline = time.monotonic() + 10
            while len(pids := tree(parent.pid)) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert len(pids) == 2
            with awake([os.getpid()], [os.getpid(), *pids]):
                while {_state(pid) for pid in pids} != {"T"} and time.monotonic() < deadline:
                    time.sleep(0.01)
                assert {_state(pid) for pid in pids} == {"T"}
            assert "T" not in {_state(pid) for pid in pids}
        finally:
            for pid in pids:
                os.kill(pid, 9)


def test_memory_counts_shared_pages_once() -> None:
    pss, rss = memory_mb([os.getpid()])

    assert 5 < pss <= rss
    assert memory_mb([]) == (0, 0)


def test_a_server_that_does_not_start_says_what_it_printed(tmp_path: Path) -> None:
    target = Target("http://127.0.0.1:9/predict")

    with pytest.raises(ServerError, match="peer did not start: no such model"):
        Server("peer", [sys.executable, "-c", "print('no such model')"], target, b"photo", tmp_path / "log")
