"""What a run was measured on: without it a figure says nothing."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("faust-streaming", "aiokafka", "pydantic", "orjson", "uvloop", "rocksdict", "confluent-kafka")


def machine() -> str:
    """Processor, cores, load and interpreter in one line."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return (
        f"{_processor()}, {os.cpu_count()} cores, load {load:.1f}, "
        f"{platform.system()}, {platform.python_implementation()} {platform.python_version()}"
    )


def versions() -> str:
    return ", ".join(f"{name} {version(name)}" for name in PACKAGES)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
