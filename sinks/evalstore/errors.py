"""What can go wrong with an eval store; every message is one line that says what to do.

::

    StoreError
    ├── StoreBusy       another process owns the file: wait for it, or use another file
    ├── StoreMismatch   the file is no eval store, or of another version: upgrade, or restore it
    ├── NoStore         nothing to read there (yet)
    ├── NoSuchCase      the answer is "no"
    ├── UnclearCase     an id prefix that several cases share
    ├── NoSuchLetter    no refused event has that id, or several begin with it
    ├── BadRequest      the owner refuses what it was asked to do: ask for something else
    ├── BadCursor       a page begins nowhere: take `next` of the page before, as it is
    ├── BadResults      a file of test results that cannot be read: what is wrong, and where
    ├── QueriesBusy     as many queries run as may: try again
    └── BadQuery        SQL that is refused, wrong, too slow or too large
"""

from __future__ import annotations


class StoreError(Exception):
    """Base of the errors that a caller may show to its user as they are."""


class StoreBusy(StoreError):
    """Retryable: the owner goes away when its process does."""


class StoreMismatch(StoreError):
    """Not retryable: the same file gives the same answer."""


class NoStore(StoreError):
    """Retryable once an owner has written something."""


class NoSuchCase(StoreError):
    pass


class UnclearCase(StoreError):
    pass


class NoSuchLetter(StoreError):
    pass


class BadRequest(StoreError):
    pass


class BadCursor(StoreError):
    pass


class BadResults(StoreError):
    pass


class QueriesBusy(StoreError):
    """Retryable: each of them ends within its time."""


class BadQuery(StoreError):
    pass
