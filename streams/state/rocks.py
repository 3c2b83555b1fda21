"""The ledger on disk, in RocksDB: a cache of what ``observations`` says, rebuilt where it is missing."""

from __future__ import annotations

import logging
from pathlib import Path

from rocksdict import Options, Rdict, WriteBatch

log = logging.getLogger(__name__)

POSITION = b"@position"
SLOTS = 16


class RocksLedger:
    """A ledger in a directory of its own.

    A frozen predecessor on the same machine still holds the lock of its directory, so a successor
    takes the next free slot: an empty ledger is rebuilt, a locked one would be waited for for ever.
    Not synced to disk at every write: what a power cut takes is rebuilt like what a crash left out.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for slot in range(SLOTS):
            try:
                self._db = Rdict(str(directory / str(slot)), options=_options())
                break
            except Exception as error:
                if "lock" not in str(error).lower():
                    raise
                log.warning("ledger %s: slot %d is held by another process", directory, slot)
        else:
            raise RuntimeError(f"ledger {directory}: {SLOTS} slots are all held: end the old processes")

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._db.get(key)
        return value

    def write(self, entries: dict[bytes, bytes], position: int) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in entries.items():
            batch.put(key, value)
        batch.put(POSITION, str(position).encode())
        self._db.write(batch)

    def position(self) -> int:
        return int(self._db.get(POSITION) or b"0")

    def close(self) -> None:
        self._db.close()


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_keep_log_file_num(2)
    return options
