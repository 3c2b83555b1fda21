"""The ledger on disk, in RocksDB: a cache of what ``observations`` says, rebuilt where it is missing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from rocksdict import BlockBasedOptions, Options, Rdict, WriteBatch, WriteOptions

log = logging.getLogger(__name__)

DEFAULT = "default"
POSITION = b"@position"
SLOTS = 16
MEMTABLE_BYTES = 16 * 2**20


class RocksLedger:
    """A ledger in a directory of its own.

    A frozen predecessor on the same machine still holds the lock of its directory, so a successor
    takes the next free slot: an empty ledger is rebuilt, a locked one would be waited for for ever.
    Not ``logged``, it is written without a log of its own: ``observations`` is its log. What a crash takes,
    at most a memtable of 16 MiB (some 100,000 identities), is read again from there, as the position that
    it holds says. A broker that forgets, the embedded one, cannot give it back: there it is logged.
    """

    def __init__(self, directory: Path, logged: bool = False) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for slot in range(SLOTS):
            try:
                self._db, names = _opened(directory / str(slot))
                break
            except Exception as error:
                if "lock" not in str(error).lower():
                    raise
                log.warning("ledger %s: slot %d is held by another process", directory, slot)
        else:
            raise RuntimeError(f"ledger {directory}: {SLOTS} slots are all held: end the old processes")
        how = WriteOptions()
        # A property, which the package's type stub takes for a method.
        how.disable_wal = not logged  # type: ignore[assignment, method-assign]
        self._db.set_write_options(how)
        self._buckets = {int(name): self._db.get_column_family(name) for name in names}

    def lookups(self) -> list[tuple[int, Callable[[bytes], bytes | None]]]:
        return [(bucket, self._buckets[bucket].get) for bucket in sorted(self._buckets, reverse=True)]

    def write(self, buckets: Mapping[int, Mapping[bytes, bytes]], position: int) -> None:
        batch = WriteBatch(raw_mode=True)
        for bucket, entries in buckets.items():
            if bucket not in self._buckets:
                self._buckets[bucket] = self._db.create_column_family(str(bucket), _options())
            family = self._db.get_column_family_handle(str(bucket))
            for key, value in entries.items():
                batch.put(key, value, family)
        batch.put(POSITION, str(position).encode())
        self._db.write(batch)

    def drop(self, bucket: int) -> None:
        # Else a crash could take back the state of this ledger that has forgotten it, and not the drop.
        self._flush()
        self._buckets.pop(bucket).close()
        self._db.drop_column_family(str(bucket))

    def position(self) -> int:
        return int(self._db.get(POSITION) or b"0")

    def close(self) -> None:
        self._flush()
        for family in self._buckets.values():
            family.close()
        self._buckets.clear()
        self._db.close()

    def _flush(self) -> None:
        # The identities first: their position must not be on disk without them.
        for family in (*self._buckets.values(), self._db):
            family.flush()


def _opened(path: Path) -> tuple[Rdict, list[str]]:
    """The database there, made where there is none, and the names of its buckets."""
    options = _options()
    names = []
    if (path / "CURRENT").exists():
        names = [name for name in Rdict.list_cf(str(path), options) if name != DEFAULT]
    return Rdict(str(path), options=options, column_families={name: _options() for name in names}), names


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    # Without a log a crash takes what no memtable of which has been flushed: of all buckets, or of none.
    options.set_atomic_flush(True)
    options.set_keep_log_file_num(2)
    # Small memtables are quicker to insert into: 1.2 us an entry, against 1.5 us in the usual 64 MB.
    options.set_write_buffer_size(MEMTABLE_BYTES)
    # Nearly every identity is asked for once and found nowhere: filters answer that, not a search.
    table = BlockBasedOptions()
    table.set_bloom_filter(10, False)
    options.set_block_based_table_factory(table)
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(0.1)
    return options
