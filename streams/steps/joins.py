"""What is said of a trace after it: feedback and scores find their trace, and what came late its window."""

from __future__ import annotations

from detectors.harvest import feedback_outcome, feedback_reason, trace_reasons
from schemas.case import CaseReason, CaseRequest
from schemas.identity import Coordinates
from schemas.observation import ChangeRow, FeedbackRow, Profile, Row, ScoreRow, TraceRow
from streams.steps.app_state import AppState
from streams.steps.case_requests import case_request, trace_case
from streams.steps.chunks import ChunkLog
from streams.steps.inflight import result_of
from streams.steps.ledger import Known, Ledger


class Joins:
    """Joins by the ledger of traces; the cases that come of it are appended to ``cases``."""

    def __init__(self, ledger: Ledger, chunks: ChunkLog, cases: list[CaseRequest]) -> None:
        self.ledger, self.chunks, self.cases = ledger, chunks, cases

    def feedback(self, app: AppState, row: FeedbackRow, at: Coordinates) -> None:
        """In its turn: to its trace's conversation; it waits where the trace has not been applied."""
        known = self.ledger.trace(app.name, row.trace_id)
        if known is None or row.trace_id in app.pending:
            app.wait(row, at)
            return
        self._case(app, row, at, known)
        outcome = feedback_outcome(row.feedback_kind, row.negative)
        if outcome:
            app.conversations.note(known.conversation_id, row.trace_id, known.time, outcome)

    def _case(self, app: AppState, row: FeedbackRow, at: Coordinates, known: Known) -> None:
        reason = feedback_reason(row.feedback_kind, row.negative)
        if reason is not None:
            self.cases.append(case_request(app.name, row.trace_id, known, (reason,), at))

    def score(self, app: AppState, row: ScoreRow, at: Coordinates) -> None:
        """When it comes: the queue hands it to the detectors in its trace's turn, unless that is over."""
        result = result_of(row, at)
        if row.value is None:
            app.count("unscored")
        known = self.ledger.trace(app.name, row.trace_id)
        if known is not None and row.low and row.value is not None:
            reasons = (CaseReason.LOW_SCORE,)
            self.cases.append(case_request(app.name, row.trace_id, known, reasons, at, row.value, row.scorer))
        item, awaited = app.pending.get(row.trace_id), app.scores.waiting(row.trace_id)
        if item is not None:
            if row.trace_id not in app.scores.early:
                app.scores.early[row.trace_id] = result
                self.chunks.pending.append(item)
        elif awaited is not None:
            if awaited.result is None:
                awaited.result = result
                self.chunks.awaited.append(awaited)
        elif known is None:
            app.count("unjoined")
        else:
            # Its turn in the queue is over: it counts in the window, and in no detector.
            app.count("late_scores")
            app.segment(known.environment, known.route, known.time).windows.late_score(known.time, result)

    def late(self, app: AppState, row: Row, profile: Profile | None, at: Coordinates) -> None:
        """Late events count in windows and cases, and in no detector."""
        if type(row) is TraceRow:
            assert profile is not None
            app.segment(profile.environment, profile.route, row.time).windows.late_trace(row)
            reasons = trace_reasons(row.flags)
            if reasons:
                self.cases.append(trace_case(app.name, row, profile, at, reasons))
            for waiting, where in app.waiting.take(row.trace_id):
                self.feedback(app, waiting, where)
        elif type(row) is FeedbackRow:
            known = self.ledger.trace(app.name, row.trace_id)
            if known is None:
                app.wait(row, at)
            else:
                self._case(app, row, at, known)
        elif type(row) is ChangeRow:
            app.on_change(row)
