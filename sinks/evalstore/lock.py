"""One owner per store, by a lock on a file beside it.

DuckDB's own lock is not enough: it belongs to the process, and the kernel drops it as soon as the
process closes any other descriptor of the file, after which a second owner overwrites the first.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from sinks.evalstore.errors import StoreBusy

SUFFIX = ".owner"


def owned(store: Path) -> bool:
    """Whether a process owns the store at this moment."""
    try:
        descriptor = os.open(store.with_name(store.name + SUFFIX), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


class OwnerLock:
    """Held from ``acquire`` until ``release``, or the end of the process, however it ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, store: Path) -> OwnerLock:
        """Raises ``StoreBusy`` naming the store and its owner's process id where that is known."""
        path = store.with_name(store.name + SUFFIX)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(descriptor, 32).decode(errors="replace").strip()
            os.close(descriptor)
            owner = f"process {pid}" if pid.isdigit() else "another process"
            raise StoreBusy(
                f"{store} is owned by {owner}: one process writes a store; read it with `gleaner cases`, "
                "`gleaner sql`, or stop that process"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """The file stays: deleting it would let two processes lock two files of the same name."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None
