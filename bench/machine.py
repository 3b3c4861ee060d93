# SPDX-License-Identifier: Apache-2.0
"""The machine that measured, without its name."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import apsw

__all__ = ["describe"]


def describe() -> dict[str, str]:
    """What a reader must know of it to read the figures."""
    said = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"model name\s*: (.+)", said)
    memory = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"))
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False).stderr  # noqa: S607
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": model[1] if model else platform.machine(),
        "memory": f"{int(memory[1]) // 2**20} GiB" if memory else "",
        "kernel": platform.release().split("-")[0],
        "Python": platform.python_version(),
        "load at the start": f"{os.getloadavg()[0]:.1f}",
        "SQLite": apsw.sqlite_lib_version(),
        "uvicorn": version("uvicorn"),
        "nginx": nginx.strip().rpartition("/")[2],
    }
