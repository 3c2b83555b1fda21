"""Failing cases, and what led to them, in DuckDB: one owner writes, everybody else reads snapshots.

===============  ================================================================================
module           idea
===============  ================================================================================
``rows``         a value of ``schemas`` as rows of the tables
``text``         what a text must lose before a database can hold it
``migrations``   ``schema/NNNN_name.sql``, applied once each, in order, with checksums
``staging``      rows into a temporary table, then into their own, each at most once
``isolate``      the few values that make a batch fail
``shingles``     the text of a failure as a set of shingles
``minhash``      which texts are worth comparing
``runs``         key to places, for many million keys
``clusters``     which failure a case is an instance of
``clustering``   the clusters of a store: its tables' rows, and the index built from them
``lock``         one owner per store, held beside the file and never on it
``owner``        :class:`~sinks.evalstore.owner.StoreOwner`: the one writer
``regroup``      what people say of clusters: split, merged, and taken back
``annotations``  what they write of cases: labels, criteria, the expected answer, whose turn it is
``saying``       in which order people said things, and the id of each thing said
``review_state`` what they have said of a failure by now
``forget``       a person's or a trace's rows go, and do not come back
``named``        whom and what a refused event names
``mentions``     where alarms and incidents name somebody, and the same without
``erase``        the file written anew, without what was deleted from it
``backup``       the store as Parquet files, and back
``due``          what is done every night, by rows that say when
``requests``     what another process wants of a store's owner
``snapshots``    publish the store under a new name; open the newest, hardened
``access``       from a ``--store`` path to a reader's connection
``reading``      cases and totals, as plain values
``letters``      refused events, as plain values
``readers``      reads of the live rows in the owner's process, beside its writes
``frames``       answers as Arrow tables, Polars and pandas frames
``pages``        lists in pages: filters, keyset cursors
``volumes``      how much each segment brings a day
``calibration``  how far scorers can be trusted, by what reviewers said of their low scores
``rolling``      rolling figures of segments, as plain values
``query``        somebody's own SQL: one SELECT, in bounded time, a bounded number of rows
``child``        the process that somebody else's SQL runs in, under limits
``children``     a few of them, warm, ended where a query outlives its time
``plain``        a database's value as JSON has it
``errors``       what can go wrong, and what its reader is to do
===============  ================================================================================

The live file is DuckDB's alone. Its lock belongs to the process, and any other ``open`` of the file in
that process drops it silently when closed: no module here opens, copies or hashes the live file.
"""

from duckdb import DuckDBPyConnection as Connection

from sinks.evalstore.access import open_for_reading, waiting_since
from sinks.evalstore.errors import (
    BadQuery,
    NoStore,
    NoSuchCase,
    NoSuchLetter,
    StoreBusy,
    StoreError,
    StoreMismatch,
    UnclearCase,
)
from sinks.evalstore.forget import Forget, Forgotten, Kind
from sinks.evalstore.letters import Letter, LetterFilter, find_letter, letter_counts, letters
from sinks.evalstore.owner import StoreOwner, Written
from sinks.evalstore.query import Answer, run_query
from sinks.evalstore.reading import (
    CaseFilter,
    CaseSummary,
    ClusterSummary,
    Totals,
    event_counters,
    find_case,
    list_cases,
    list_clusters,
    new_clusters,
    totals,
    window_spans,
)
from sinks.evalstore.rolling import RollingFigure, SegmentFilter, rolling
from sinks.evalstore.snapshots import snapshots_of

__all__ = [
    "Answer",
    "BadQuery",
    "CaseFilter",
    "CaseSummary",
    "ClusterSummary",
    "Connection",
    "Forget",
    "Forgotten",
    "Kind",
    "Letter",
    "LetterFilter",
    "NoStore",
    "NoSuchCase",
    "NoSuchLetter",
    "RollingFigure",
    "SegmentFilter",
    "StoreBusy",
    "StoreError",
    "StoreMismatch",
    "StoreOwner",
    "Totals",
    "UnclearCase",
    "Written",
    "event_counters",
    "find_case",
    "find_letter",
    "letter_counts",
    "letters",
    "list_cases",
    "list_clusters",
    "new_clusters",
    "open_for_reading",
    "rolling",
    "run_query",
    "snapshots_of",
    "totals",
    "waiting_since",
    "window_spans",
]
