"""What a result must say about where and when it was measured.

SPDX-License-Identifier: Apache-2.0
"""

import os
import platform
import subprocess
import time
from functools import cache
from typing import Any

from .models import ROOT


@cache
def processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for text in file:
            if text.startswith("model name"):
                return text.split(":", 1)[1].strip()
    return platform.processor()


@cache
def commit() -> str:
    """The commit, with + when tracked files differ from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=12"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def facts() -> dict[str, Any]:
    return {
        "commit": commit(),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),  # of everything on the machine, this bench included
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
    }
