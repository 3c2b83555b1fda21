"""One ``gleaner up`` per state folder, by a lock on a file in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class AlreadyUp(Exception):
    """Another ``gleaner up`` runs on this folder; the message names both."""


@contextlib.contextmanager
def only_one(state_dir: Path) -> Iterator[None]:
    """Held until the end of the block, or of the process, however that ends. Raises ``AlreadyUp``.

    A second group of roles over one folder would overwrite the address of the first one's broker, and fight
    with it for the store and the incidents.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    # The file stays: deleting it would let two processes lock two files of the same name.
    descriptor = os.open(state_dir / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            holder = f"process {pid}" if pid.isdigit() else "another process"
            raise AlreadyUp(
                f"{state_dir}: gleaner up runs here already ({holder}): stop it, or give this one a folder of"
                " its own with GLEANER_STATE_DIR"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)
