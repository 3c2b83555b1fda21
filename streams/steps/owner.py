"""The owner of an observations partition: identity, join, order, windows, detectors. Pure.

``absorb`` takes one message of ``observations`` and leaves signals and case requests in ``outputs``;
``changes`` gives the state entries to write with them. The same calls run on Kafka and in replay.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import orjson

from schemas.case import CaseReason, CaseRequest
from schemas.identity import INDEX_BITS, Coordinates, case_id
from schemas.observation import (
    ChangeRow,
    FeedbackRow,
    ObservationBatch,
    PriceStatus,
    Profile,
    Progress,
    Row,
    ScoreRow,
    TraceRow,
)
from schemas.signal import RollingReport, SignalRecord
from streams.steps.app_state import AppState
from streams.steps.inflight import ChunkLog, OpenConversation, Pending, PendingRows, result_of
from streams.steps.ledger import Known, Ledger, coordinates
from streams.steps.watermark import Watermark


class OwnerPolicy(NamedTuple):
    """Event-time settings of the rolling stage; milliseconds."""

    lateness_ms: int = 1_000
    conversation_ms: int = 600_000
    score_wait_ms: int = 600_000
    join_horizon_ms: int = 14 * 86_400_000
    window_ms: int = 3_600_000
    segments: int = 1


class Outputs(NamedTuple):
    signals: list[SignalRecord]
    cases: list[CaseRequest]


_pending = partial(tuple.__new__, Pending)
"""As ``Pending(…)``, past its constructor, which is a function in Python: for the many."""


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
        self._pending = PendingRows()
        self._chunks = ChunkLog()
        self._reported: dict[str, dict[str, int]] = {}

    def absorb(self, message: ObservationBatch | Progress) -> None:
        """Take in one message of ``observations``."""
        if isinstance(message, Progress):
            if self.watermark.report(message):
                self._advance()
            self._settle()
            return
        app, ledger, now = self._app(message.app), self.ledger, self.watermark.value
        name = app.name
        sources, profiles, marks = message.sources, message.profiles, app.marks
        upto = [marks.get(source, -1) for source in sources]
        traces = 0
        touched: bool = False
        for row in message.rows:
            which = row[3]
            mark = row[4] << INDEX_BITS | row[5]
            if mark <= upto[which]:
                continue  # a redelivery of what has been absorbed
            upto[which] = mark
            at = coordinates(sources[which], row[4], row[5])
            if type(row) is TraceRow:  # the many: what else would be a call is done here
                profile = profiles[row[6]]
                if not ledger.add_trace(name, row, at, profile):
                    app.count("duplicates")
                    continue
                if row[7] is not None:
                    # Here, not when it is applied: a rebuilt ledger knows only what has been absorbed.
                    ledger.note_turn(name, row)
                traces += 1
                if now is None or row[0] > now:
                    item = _pending((row[0], row[1], row[2], name, at, row, profile))
                    self._pending.fresh.append(item)
                    app.pending[row[1]] = item
                else:
                    self._hold(app, row, profile, at)
            elif type(row) is ScoreRow:
                if self.ledger.add(row.score_id, at):
                    app.count("scores")
                    self._score(app, row, at)
                    touched = True
                else:
                    app.count("duplicate_scores")  # a score is no event of an application's
            else:
                assert isinstance(row, FeedbackRow | ChangeRow)
                feedback = type(row) is FeedbackRow
                identity = row.feedback_id if isinstance(row, FeedbackRow) else row.change_id
                if self.ledger.add(identity, at):
                    app.count("feedback" if feedback else "changes")
                    self._hold(app, row, None, at)
                else:
                    app.count("duplicates")
        if traces:
            app.count("traces", traces)
        marks.update(zip(sources, upto, strict=True))
        if touched:
            self._drain(app)

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
            self._late(app, row, profile, at)
            return
        self._pending.fresh.append(Pending(row[0], row[1], row[2], app.name, at, row, profile))

    def _advance(self) -> None:
        """Apply what the watermark has passed, decisions of conversations in between in their order."""
        now = self.watermark.value
        assert now is not None
        undecided = self.policy.conversation_ms + 1
        for time, _, _, name, at, row, profile in self._pending.take(now):
            app = self.apps[name]
            if app.due and app.due[0].first_time <= time - undecided:
                self._decide(app, time - 1)
            if type(row) is TraceRow:
                assert profile is not None
                self._trace(app, row, profile, at)
            elif type(row) is FeedbackRow:
                self._feedback(app, row, at)
            elif type(row) is ChangeRow:
                app.on_change(row)
        for app in self.apps.values():
            self._decide(app, now)
            app.expire_waiting(now - self.policy.join_horizon_ms)

    # -- traces ------------------------------------------------------------------------------------

    def _trace(self, app: AppState, row: TraceRow, profile: Profile, at: Coordinates) -> None:
        segment = app.segment(profile)
        verdict = segment.on_trace(row, profile, app.shared_by(self.policy))
        if verdict.signals:
            self.outputs.signals.extend(verdict.signals)
        reasons = segment.trace_reasons(row, verdict.cost_outlier)
        if reasons:
            self._case(app, row, profile, at, reasons, None)
        unit = True
        if row[7] is None:
            self._open(app, _conversation_key(None, row[1]), row, profile)
        else:
            unit = self._join_conversation(app, row, profile)
        del app.pending[row[1]]
        app.await_score(segment, row, profile, at, unit, self.watermark.clock)
        for late_row, where in app.take_waiting(row[1]):
            self._feedback(app, late_row, where)

    def _join_conversation(self, app: AppState, row: TraceRow, profile: Profile) -> bool:
        """Open the trace's conversation, or join it; True if this is the turn that is scored for it."""
        assert row.conversation_id is not None
        key = _conversation_key(row.conversation_id, row.trace_id)
        known = self.ledger.conversation(app.name, row.conversation_id)
        assert known is not None, "noted when the trace was absorbed"
        if key not in app.conversations and known.first_time + self.policy.conversation_ms >= row.time:
            self._open(app, key, row, profile)
        return known.scored_turn == (row.time, row.trace_id)

    def _open(self, app: AppState, key: str, row: TraceRow, profile: Profile) -> None:
        conversation = OpenConversation(app.name, key, row.time, row.trace_id, profile, row.user_id)
        app.conversations[key] = conversation
        app.due.append(conversation)
        self._chunks.touch(conversation)

    def _decide(self, app: AppState, now: int) -> None:
        """Decide the conversations that are due: escalated or not, in the order of their first traces."""
        due = now - self.policy.conversation_ms
        while app.due and app.due[0].first_time <= due:
            conversation = app.due.popleft()
            del app.conversations[conversation.key]
            segment = app.segment(conversation.profile)
            signals = segment.on_conversation(conversation, app.shared_by(self.policy))
            if signals:
                self.outputs.signals.extend(signals)

    # -- feedback ----------------------------------------------------------------------------------

    def _feedback(self, app: AppState, row: FeedbackRow, at: Coordinates) -> None:
        known = self.ledger.trace(app.name, row.trace_id)
        if known is None or row.trace_id in app.pending:
            app.wait(row, at)
            return
        self._feedback_case(app, row, at, known)
        if row.feedback_kind == "escalation" and row.value:
            conversation = app.conversations.get(_conversation_key(known.conversation_id, row.trace_id))
            if conversation is not None and not conversation.escalated:
                conversation.escalated = True
                self._chunks.touch(conversation)

    def _feedback_case(self, app: AppState, row: FeedbackRow, at: Coordinates, known: Known) -> None:
        reason = app.feedback_reason(row)
        if reason is not None:
            self.outputs.cases.append(_request(app.name, row.trace_id, known, (reason,), at, None, None))

    # -- scores ------------------------------------------------------------------------------------

    def _score(self, app: AppState, row: ScoreRow, at: Coordinates) -> None:
        result = result_of(row, at)
        if row.value is None:
            app.count("unscored")
        known = self.ledger.trace(app.name, row.trace_id)
        if known is not None and row.low and row.value is not None:
            self.outputs.cases.append(
                _request(app.name, row.trace_id, known, (CaseReason.LOW_SCORE,), at, row.value, row.scorer)
            )
        item, awaited = app.pending.get(row.trace_id), app.awaited.get(row.trace_id)
        if item is not None:
            if row.trace_id not in app.early:
                app.early[row.trace_id] = result
                self._chunks.touch(item)
        elif awaited is not None:
            if awaited.result is None:
                awaited.result = result
                self._chunks.touch(awaited)
        elif known is None:
            app.count("unjoined")
        else:
            # Its turn in the queue is over: it counts in the window, and in no detector.
            app.late_score(known, result)

    def _settle(self) -> None:
        """Scores before windows: a window that closes holds all that has been decided of it."""
        now = self.watermark.value
        for app in self.apps.values():
            self._drain(app)
            for awaited in app.take_queued():
                self._chunks.touch(awaited)
                app.awaited[awaited.row.trace_id] = awaited
            if now is not None:
                self.outputs.signals.extend(app.close_windows(now, self.policy))

    def _drain(self, app: AppState) -> None:
        """Hand scores to the detectors in the order of their traces, waiting for those still out."""
        segments = app.shared_by(self.policy)
        for row, profile, unit, result in app.scored(self.watermark.clock, self.policy.score_wait_ms):
            signals = app.segment(profile).on_score(row, profile, unit, result, segments)
            if signals:
                self.outputs.signals.extend(signals)

    # -- late --------------------------------------------------------------------------------------

    def _late(self, app: AppState, row: Row, profile: Profile | None, at: Coordinates) -> None:
        """Late events count in windows and cases, and in no detector."""
        if type(row) is TraceRow:
            assert profile is not None
            segment = app.segment(profile)
            segment.late_trace(row)
            reasons = segment.trace_reasons(row, False)
            if reasons:
                self._case(app, row, profile, at, reasons, None)
            for waiting, where in app.take_waiting(row.trace_id):
                self._feedback(app, waiting, where)
        elif type(row) is FeedbackRow:
            known = self.ledger.trace(app.name, row.trace_id)
            if known is None:
                app.wait(row, at)
            else:
                self._feedback_case(app, row, at, known)
        elif type(row) is ChangeRow:
            app.on_change(row)

    # -- cases -------------------------------------------------------------------------------------

    def _case(
        self,
        app: AppState,
        row: TraceRow,
        profile: Profile,
        at: Coordinates,
        reasons: tuple[CaseReason, ...],
        event_at: Coordinates | None,
    ) -> None:
        known = Known(
            at, row.time, profile.environment, profile.route, row.conversation_id, row.cost, row.price
        )
        score = row.faithfulness
        scorer = None if score is None else "app"
        self.outputs.cases.append(_request(app.name, row.trace_id, known, reasons, event_at, score, scorer))

    # -- state -------------------------------------------------------------------------------------

    def changes(self) -> dict[str, bytes | None]:
        """State entries that have changed since the last call; None deletes one."""
        now = self.watermark.value
        heads = {app.name: app.head for app in self.apps.values()}
        early = {app.name: app.early for app in self.apps.values()}
        pending = self._pending.write()
        entries = self._chunks.changes(now, self._decided_before(), heads, pending, early)
        entries["meta"] = orjson.dumps(
            {
                "watermark": self.watermark.snapshot(),
                "apps": {app.name: app.meta() for app in self.apps.values()},
                "reported": self._reported,
            }
        )
        for app in self.apps.values():
            entries.update(app.changes())
        return entries

    def restore(self, entries: dict[str, bytes]) -> None:
        """Become the owner that wrote ``entries``."""
        if "meta" not in entries:
            return
        meta = orjson.loads(entries["meta"])
        self.watermark.restore(meta["watermark"])
        self._reported = meta["reported"]
        for name, state in meta["apps"].items():
            self._app(name).restore(state)
        waiting: dict[str, dict[int, bytes]] = {}
        for key, data in entries.items():
            if key.startswith("segment:"):
                name, environment, route = orjson.loads(key.removeprefix("segment:"))
                self.apps[name].restore_segment(environment, route, data)
            elif key.startswith("waiting:"):
                name, number = orjson.loads(key.removeprefix("waiting:"))
                waiting.setdefault(name, {})[number] = data
        for name, numbered in waiting.items():
            self.apps[name].restore_waiting(numbered)
        heads = {app.name: app.head for app in self.apps.values()}
        flying = self._chunks.restore(entries, self.watermark.value, self._decided_before(), heads)
        self._pending.restore(flying.pending)
        for item in flying.pending:
            if type(item.row) is TraceRow:
                app = self.apps[item.app]
                app.pending[item.trace_id] = item
                if item.at in flying.early:
                    app.early[item.trace_id] = flying.early[item.at]
        for conversation in flying.conversations:
            app = self.apps[conversation.app]
            app.conversations[conversation.key] = conversation
            app.due.append(conversation)
        for awaited in flying.awaited:
            app = self.apps[awaited.app]
            app.queue.append(awaited)
            app.awaited[awaited.row.trace_id] = awaited

    def report(self, position: int) -> RollingReport | None:
        """Counters and watermark, if any counter has changed since the last report."""
        counters = {app.name: dict(app.counters) for app in self.apps.values()}
        if counters == self._reported:
            return None
        self._reported = counters
        return RollingReport(
            partition=self.partition, position=position, watermark=self.watermark.value, counters=counters
        )

    def take_outputs(self) -> Outputs:
        outputs, self.outputs = self.outputs, Outputs([], [])
        return outputs

    def _decided_before(self) -> int | None:
        now = self.watermark.value
        return None if now is None else now - self.policy.conversation_ms + 1

    def _app(self, name: str) -> AppState:
        app = self.apps.get(name)
        if app is None:
            app = self.apps[name] = AppState(name, self.policy.window_ms)
        return app


def _conversation_key(conversation_id: str | None, trace_id: str) -> str:
    """A trace without a conversation is its own; the prefix keeps the two kinds of name apart."""
    return "t:" + trace_id if conversation_id is None else "c:" + conversation_id


def _request(
    app: str,
    trace_id: str,
    known: Known,
    reasons: tuple[CaseReason, ...],
    event_at: Coordinates | None,
    score: float | None,
    scorer: str | None,
) -> CaseRequest:
    case = case_id(app, trace_id)
    return CaseRequest(
        case_id=case,
        event_id=CaseRequest.event_id_of(case, reasons, event_at),
        app=app,
        environment=known.environment,
        route=known.route,
        trace_id=trace_id,
        time=known.time,
        reasons=reasons,
        trace_at=known.at,
        event_at=event_at,
        score=score,
        scorer=scorer,
        cost=known.cost,
        price_status=PriceStatus(known.price).name.lower(),
    )
