"""What is measured on and with: the peers' own environment, made where it is missing, and the machine."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["PYTHON", "ROOT", "machine", "make_environment", "versions"]

ROOT = Path(__file__).parents[2]
VENV = ROOT / ".bench-venv"
PYTHON = str(VENV / "bin" / "python")
_REQUIREMENTS = ROOT / "benchmarks" / "requirements.txt"
# Of a processor's features those that matrix products gain from.
_FLAGS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8", "asimd")


def make_environment() -> None:
    """Builds ``.bench-venv`` where its requirements are not yet installed; raises ``CalledProcessError``."""
    done = VENV / ".requirements"
    if done.is_file() and done.read_text() == _REQUIREMENTS.read_text():
        return
    print(f"Installing the peers into {VENV.name}, about 2 GB; this takes a few minutes.", flush=True)
    if not Path(PYTHON).exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    index = os.environ.get("TORCH_INDEX")
    pinned = _REQUIREMENTS.read_text().splitlines()
    torch = [line for line in pinned if line.startswith(("torch==", "torchvision=="))]
    # Without what only GPUs need.
    subprocess.run([*pip, "--no-deps", *(["--extra-index-url", index] if index else []), *torch], check=True)
    subprocess.run([*pip, "--no-deps", "--requirement", _REQUIREMENTS], check=True)
    done.write_text(_REQUIREMENTS.read_text())


def versions(names: list[str]) -> dict[str, str]:
    """The versions of packages in the peers' environment."""
    code = "import json, sys, importlib.metadata as m; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    ran = subprocess.run([PYTHON, "-c", code, *names], check=True, capture_output=True, text=True)
    found: dict[str, str] = json.loads(ran.stdout)
    return found


def machine() -> dict[str, Any]:
    """Processor, cores, memory and system."""
    facts: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    flags = facts.get("flags", facts.get("Features", "")).split()
    return {
        "processor": facts.get("model name", platform.machine()),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
