"""The owner of an observations partition: identity, join, order, windows, detectors. Pure.

``absorb`` takes one message of ``observations`` and leaves signals and case requests in ``outputs``;
``changes`` gives the state entries to write with them. The same calls run on Kafka and in replay.
"""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from typing import NamedTuple, TypeGuard

from detectors.rules import DEFAULT_RULES, Rule
from detectors.standing import standing
from schemas.case import CaseRequest
from schemas.identity import INDEX_BITS, Coordinates
from schemas.observation import (
    BaselineRow,
    ChangeRow,
    FeedbackRow,
    ObservationBatch,
    Profile,
    Progress,
    Row,
    ScoreRow,
    TraceRow,
)
from schemas.signal import RollingReport, SignalRecord, Standing
from streams.steps import owner_state
from streams.steps.app_state import AppState
from streams.steps.case_requests import trace_case
from streams.steps.chunks import ChunkLog
from streams.steps.inflight import Pending, PendingRows, Result
from streams.steps.joins import Joins
from streams.steps.ledger import JOIN_HORIZON_MS, SCORE_REQUESTED, Ledger, coordinates
from streams.steps.watermark import Watermark


class OwnerPolicy(NamedTuple):
    """Event-time settings of the rolling stage; milliseconds."""

    lateness_ms: int = 1_000
    conversation_ms: int = 600_000
    score_wait_ms: int = 600_000
    join_horizon_ms: int = JOIN_HORIZON_MS
    window_ms: int = 300_000
    segments: int = 1
    rules: tuple[Rule, ...] = DEFAULT_RULES


class Outputs(NamedTuple):
    signals: list[SignalRecord]
    cases: list[CaseRequest]


def only_traces(rows: list[Row]) -> TypeGuard[list[TraceRow]]:
    """Whether there are rows, and all of them are traces."""
    return {*map(type, rows)} == {TraceRow}


_pending = partial(tuple.__new__, Pending)
_coordinates = partial(tuple.__new__, Coordinates)
"""As ``Coordinates(…)``, past the constructor, which is a function in Python: for the many."""


class Owner:
    """Everything that is kept for the apps of one observations partition.

    Deterministic: the same messages in the same order give the same outputs and the same state,
    whether or not it was written down and restored in between.
    """

    def __init__(self, partition: int, policy: OwnerPolicy, ledger: Ledger) -> None:
        self.partition, self.policy, self.ledger = partition, policy, ledger
        self.watermark = Watermark(policy.lateness_ms)
        self.apps: dict[str, AppState] = {}
        self.outputs = Outputs([], [])
        self.pending = PendingRows()
        self.chunks = ChunkLog()
        self.joins = Joins(ledger, self.chunks, self.outputs.cases)
        self.reported: dict[str, dict[str, int]] = {}
        self._stood = -1
        """Number of the window in which the detectors' standing was last told."""

    def absorb(self, message: ObservationBatch | Progress) -> None:
        """Take in one message of ``observations``."""
        if isinstance(message, Progress):
            if self.watermark.report(message):
                self._advance()
            self._settle()
            return
        app = self.app(message.app)
        self.ledger.reach(message.rows)
        if self._absorb_new_traces(app, message):
            return
        ledger, sources, marks = self.ledger, message.sources, app.marks
        upto = [marks.get(source, -1) for source in sources]
        scored = False
        for row in message.rows:
            which = row[3]
            mark = row[4] << INDEX_BITS | row[5]
            if mark <= upto[which]:
                continue  # a redelivery of what has been absorbed
            upto[which] = mark
            at = coordinates(sources[which], row[4], row[5])
            if isinstance(row, TraceRow):
                profile = message.profiles[row.profile]
                if ledger.add_trace(app.name, row, at, profile):
                    app.count("traces")
                    if row.conversation_id is not None:
                        # Here, not when it is applied: a rebuilt ledger knows only what has been absorbed.
                        ledger.note_turn(app.name, row)
                    self._hold(app, row, profile, at)
                else:
                    app.count("duplicates")
            elif isinstance(row, ScoreRow):
                if ledger.add(row.score_id, at):
                    app.count("scores")
                    self.joins.score(app, row, at)
                    scored = True
                else:
                    app.count("duplicate_scores")  # a score is no event of an application's
            else:
                feedback = isinstance(row, FeedbackRow)
                identity = row.feedback_id if isinstance(row, FeedbackRow) else row.change_id
                if ledger.add(identity, at):
                    app.count("feedback" if feedback else "changes")
                    self._hold(app, row, None, at)
                else:
                    app.count("duplicates")
        marks.update(zip(sources, upto, strict=True))
        if scored:
            self._drain(app)

    def _absorb_new_traces(self, app: AppState, message: ObservationBatch) -> bool:
        """Absorb a batch that holds nothing but traces, none of them late, known or delivered before: the
        quick way for the many. False where it is another batch, and nothing has been done."""
        sources, profiles, now = message.sources, message.profiles, self.watermark.value
        rows = message.rows
        if not only_traces(rows) or (now is not None and min(rows)[0] <= now):
            return False
        upto = [app.marks.get(source, -1) for source in sources]
        for row in rows:
            mark = row[4] << INDEX_BITS | row[5]
            if mark <= upto[row[3]]:
                return False
            upto[row[3]] = mark
        ats = [_coordinates((*sources[row[3]], row[4], row[5])) for row in rows]
        if not self.ledger.add_traces(app.name, rows, ats, profiles):
            return False
        name = app.name
        items = [
            _pending((row[0], row[1], 1, name, at, row, profiles[row[6]]))
            for row, at in zip(rows, ats, strict=True)
        ]
        self.pending.fresh += items
        app.pending.update([(item[1], item) for item in items])
        app.count("traces", len(rows))
        app.marks.update(zip(sources, upto, strict=True))
        return True

    def finish(self, newest: int) -> None:
        """The input has ended (a file): apply everything up to ``newest``, in order."""
        self.watermark.drain(newest)
        self._advance()
        self._settle()

    # -- order -------------------------------------------------------------------------------------

    def _hold(self, app: AppState, row: Row, profile: Profile | None, at: Coordinates) -> None:
        """Keep a row until the watermark has passed it; what comes below the watermark is late."""
        now = self.watermark.value
        if now is not None and row[0] <= now:
            app.count("late")
            if not isinstance(row, BaselineRow):
                self.joins.late(app, row, profile, at)
                return
            row = row._replace(time=now + 1)  # what a person has said holds from here on
        item = Pending(row[0], row[1], row[2], app.name, at, row, profile)
        self.pending.fresh.append(item)
        if profile is not None:
            app.pending[row[1]] = item

    def _advance(self) -> None:
        """Apply what the watermark has passed, decisions of conversations in between in their order."""
        now = self.watermark.value
        assert now is not None
        items: dict[str, list[Pending]] = {}
        for item in self.pending.take(now):
            items.setdefault(item[3], []).append(item)
        for name, app in self.apps.items():
            if name in items:
                self._apply(app, items[name])
            app.decide(now - self.policy.conversation_ms)
            app.conversations.forget_outcomes(now - self.policy.conversation_ms)
            app.expire_waiting(now - self.policy.join_horizon_ms)
        self.ledger.forget(now)
        self._flush()

    def _apply(self, app: AppState, items: list[Pending]) -> None:
        """Apply rows of one app, in their order. The hot loop: what is the same for all is looked up once."""
        undecided = self.policy.conversation_ms + 1
        conversations, pending, scores, waiting = app.conversations, app.pending, app.scores, app.waiting
        early, segments = scores.early, app.segments
        for item in items:
            time, trace_id, _, _, at, row, profile = item
            if not isinstance(row, TraceRow) or profile is None:
                app.decide(time - undecided)  # what is said now is of those that are still open
                if isinstance(row, FeedbackRow):
                    self.joins.feedback(app, row, at)
                elif isinstance(row, ChangeRow):
                    app.on_change(row)
                elif isinstance(row, BaselineRow):
                    app.accept(row)
                continue
            segment = segments.get((profile[0], profile[1]))
            if segment is None:
                app.decide(time - undecided)
                segment = app.segment(profile[0], profile[1], time)
            segment.touched = True
            segment.traces.append(item)
            unit = True
            if row[7] is None:
                conversations.open(None, row, profile)
            else:
                unit = conversations.join(row, profile, self.ledger, undecided - 1)
            del pending[trace_id]
            result = early.pop(trace_id, None) if early else None
            score = row[15]
            if score is None and not row[9] & SCORE_REQUESTED:
                segment.measured.append(row)  # nobody scores it
            elif score is not None and not scores:
                segment.measured.append(row)
                if unit:
                    segment.units.append(item)
            else:
                self._queue(app, item, unit, result)
            if waiting and (early_feedback := waiting.take(trace_id)):
                app.decide(time - undecided)
                for early_row, where in early_feedback:
                    self.joins.feedback(app, early_row, where)

    def _queue(self, app: AppState, item: Pending, unit: bool, result: Result | None) -> None:
        """A trace whose score is awaited, or whose turn is behind one that is."""
        row, profile = item.row, item.profile
        assert isinstance(row, TraceRow)
        assert profile is not None
        if row.faithfulness is not None:
            result = Result("app", row.faithfulness, False, None)
        app.scores.push(row, profile, item.at, unit, self.watermark.clock, result)

    def _flush(self) -> None:
        """Feed the detectors what has been applied; pass on what they say, in the order of application."""
        signals, cases = [], []
        now = self.watermark.value
        for app in self.apps.values():
            app.flush()
            if now is not None:
                app.close_accepted(now)
                app.close_declared(now)
            flushed = app.flushed
            if flushed.signals:
                signals += flushed.signals
                flushed.signals.clear()
            if flushed.cases:
                cases += flushed.cases
                flushed.cases.clear()
        signals.sort(key=itemgetter(0))
        cases.sort(key=itemgetter(0))
        self.outputs.signals.extend([signal for _, signal in signals])
        for _, (_, _, _, name, at, row, profile), reasons in cases:
            assert isinstance(row, TraceRow)
            assert profile is not None
            self.outputs.cases.append(trace_case(name, row, profile, at, reasons))

    # -- scores ------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Scores before windows: a window that closes holds all that has been decided of it."""
        now = self.watermark.value
        for app in self.apps.values():
            self._drain(app)
            app.scores.settle(self.chunks)
            if now is not None:
                self.outputs.signals.extend(app.close_scores(now))
                self.outputs.signals.extend(app.close_windows(now))

    def _drain(self, app: AppState) -> None:
        """Hand scores to the detectors in the order of their traces, waiting for those still out."""
        for row, profile, unit, result, late in app.scores.take(
            self.watermark.clock, self.policy.score_wait_ms
        ):
            if late:
                app.count("score_timeouts")
            segment = app.segment(profile[0], profile[1], row[0])
            signals = segment.on_score(row, profile, unit, result, app.shared_by(row[0]))
            if signals:
                self.outputs.signals.extend(signals)
            if unit:
                self.outputs.signals.extend(app.pool_score(row, profile, result))

    # -- state -------------------------------------------------------------------------------------

    def changes(self) -> dict[str, bytes | None]:
        """State entries that have changed since the last call; None deletes one."""
        return owner_state.write(self)

    def restore(self, entries: dict[str, bytes]) -> None:
        """Become the owner that wrote ``entries``; its ledger is complete by now."""
        owner_state.restore(self, entries)
        if self.watermark.value is not None:
            self.ledger.forget(self.watermark.value)

    def flush_ledger(self, position: int) -> None:
        """Write the ledger down, after the state that has absorbed everything before ``position``."""
        self.ledger.flush(position, self.watermark, {name: app.marks for name, app in self.apps.items()})

    def standings(self) -> list[Standing]:
        """How every detector stands, once for each window's length of event time; else nothing.

        Asked at a commit, when all that the watermark has passed is applied. A restart may say it again.
        """
        now = self.watermark.value
        if now is None or now // self.policy.window_ms <= self._stood:
            return []
        self._stood = now // self.policy.window_ms
        return [
            standing(app.name, environment, route, monitors, now)
            for app in self.apps.values()
            for environment, route, monitors in app.watching()
        ]

    def report(self, position: int) -> RollingReport | None:
        """Counters and watermark, if any counter has changed since the last report."""
        counters = {app.name: dict(app.counters) for app in self.apps.values()}
        if counters == self.reported:
            return None
        self.reported = counters
        return RollingReport(
            partition=self.partition, position=position, watermark=self.watermark.value, counters=counters
        )

    def take_outputs(self) -> Outputs:
        """What has come of it since the last call. Once a commit, and before ``changes``: closed windows get
        one more part each of what has come late."""
        for app in self.apps.values():
            self.outputs.signals.extend(app.collect_windows())
        taken = Outputs(self.outputs.signals.copy(), self.outputs.cases.copy())
        self.outputs.signals.clear()
        self.outputs.cases.clear()
        return taken

    def decided_before(self) -> int | None:
        """Conversations that began before this time are decided."""
        now = self.watermark.value
        return None if now is None else now - self.policy.conversation_ms + 1

    def app(self, name: str) -> AppState:
        app = self.apps.get(name)
        if app is None:
            policy = self.policy
            app = self.apps[name] = AppState(
                name,
                self.chunks,
                policy.window_ms,
                policy.conversation_ms,
                policy.segments,
                policy.rules,
                self.watermark.value,
            )
        return app
