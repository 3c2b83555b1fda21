"""How whoever reads a suggested command would type it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def program() -> str:
    """``gleaner`` where the shell finds this one by that name, else its path: relative where it is in the
    current folder (``.venv/bin/gleaner``)."""
    own = Path(sys.executable).with_name("gleaner")
    found = shutil.which("gleaner")
    if not own.exists() or (found is not None and os.path.samefile(found, own)):
        return "gleaner"
    here = Path.cwd()
    if not own.is_relative_to(here):
        return str(own)
    path = str(own.relative_to(here))
    return path if os.sep in path else os.path.join(os.curdir, path)
