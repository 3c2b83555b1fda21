"""Observations on the wire: what is packed is unpacked, and no message outgrows its topic."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.observation import ObservationBatch, Profile, Progress, Source, SourceProgress, TraceRow
from streams.steps.pack import MAX_ROWS, Packer, decode, encode_progress
from tests.steps.logs import feedback, trace

SOURCES = [Source("s", "traces", 0), Source("s", "traces", 1), Source("s", "feedback", 0)]


Named = tuple[str, Source, Profile | None, tuple[object, ...]]


def unpacked(messages: list[tuple[str, bytes]]) -> list[Named]:
    """Every row with the source and the profile that it names, in the order of the messages."""
    rows: list[Named] = []
    for app, message in messages:
        batch = decode(message)
        assert isinstance(batch, ObservationBatch)
        assert batch.app == app
        for row in batch.rows:
            profile = batch.profiles[row.profile] if isinstance(row, TraceRow) else None
            named = row._replace(source=0, profile=0) if isinstance(row, TraceRow) else row._replace(source=0)
            rows.append((app, batch.sources[row.source], profile, tuple(named)))
    return rows


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from([0, 1, 2]),
        st.integers(0, 3),
        st.sampled_from(["", "x" * 400]),
    ),
    max_size=60,
)


@given(ROWS, st.sampled_from([700, 3_000, 10**6]))
def test_what_is_packed_is_unpacked_in_order_and_no_message_is_too_large(
    rows: list[tuple[str, int, int, str]], limit: int
) -> None:
    packer = Packer()
    given_rows: list[Named] = []
    for offset, (app, where, which, padding) in enumerate(rows):
        source = SOURCES[where]
        if source.topic == "traces":
            row: tuple[object, ...] = trace(offset, f"t{offset}", offset=offset)
            profile: Profile | None = Profile(route=f"r{which}", versions=(("build", padding),))
        else:
            row, profile = feedback(offset, f"t{offset}", offset=offset), None
        packer.add(app, source, profile, row)
        given_rows.append((app, source, profile, row))
    messages = packer.messages(limit)
    for app in ("a", "b"):
        found = [row for row in unpacked(messages) if row[0] == app]
        assert found == [row for row in given_rows if row[0] == app]
    alone = [len(orjson.loads(message)["rows"]) == 1 for _, message in messages]
    assert all(len(message) <= limit or single for (_, message), single in zip(messages, alone, strict=True))


def test_profiles_that_are_all_different_do_not_multiply() -> None:
    """An application that puts a request id into its versions: every message lists only its own."""
    packer, rows = Packer(), 2 * MAX_ROWS + 100
    for offset in range(rows):
        profile = Profile(versions=(("request", f"{offset:0300d}"),))
        packer.add("a", SOURCES[0], profile, trace(offset, f"t{offset}", offset=offset))
    messages = packer.messages(200_000)
    assert max(len(message) for _, message in messages) <= 200_000
    assert sum(len(message) for _, message in messages) < rows * 600
    assert len(unpacked(messages)) == rows


def test_progress_round_trip() -> None:
    progress = Progress(
        5,
        {"traces": 2},
        [SourceProgress(SOURCES[0], 7, None, False), SourceProgress(SOURCES[2], 0, -3, True)],
    )
    assert decode(encode_progress(progress)) == progress


def test_rows_from_before_there_was_a_time_to_first_token_are_read() -> None:
    """They may still be in the log when a new version takes over."""
    packer = Packer()
    packer.add("a", SOURCES[0], Profile(), trace(0, "old", latency=5.0, first_token=2.0))
    packer.add("a", SOURCES[0], Profile(), trace(1, "new", latency=5.0, first_token=2.0))
    ((_, message),) = packer.messages()
    written = orjson.loads(message)
    written["rows"][0].pop()
    batch = decode(orjson.dumps(written))
    assert isinstance(batch, ObservationBatch)
    assert [row for row in batch.rows if isinstance(row, TraceRow)] == [
        trace(0, "old", latency=5.0),
        trace(1, "new", latency=5.0, first_token=2.0),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"v": 2}',
        b'{"v": 1}',
        b'{"v": 1, "app": "a"}',
        b'{"v": 1, "progress": [[]]}',
        b"\xff",
    ],
)
def test_a_strange_message_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(data)
