"""What became of a row of the outbox: its state, the notification log, and what it owes from now on."""

from __future__ import annotations

from schemas.effect import Effect, EffectKind, NotifyReason
from schemas.identity import derive
from sinks.fate import Next, Row, RowState
from sinks.outbox_rows import Rows


def settle(rows: Rows, row: Row, then: Next, now: int, receiver: str, revision: int) -> None:
    """Writes what became of ``row``, which showed ``revision``; with it, the notification log."""
    with rows.outbox.transaction():
        rows.db.execute(
            "update outbox set state = ?, not_before = ?, attempts = attempts + ?, looks = ?,"
            " degrade = ?, error = ?, unsure = max(unsure, ?) where id = ?",
            (
                then.state.value,
                then.not_before,
                then.attempted,
                then.looks,
                then.degrade.value,
                "" if then.state is RowState.SENT else then.why,
                then.state is RowState.SENDING,
                row.id,
            ),
        )
        if then.state is RowState.SENT:
            rows.db.execute(
                "update storms set unsaid_since = null where id = ? and revision <= ?",
                (row.incident_id, revision),
            )
            _log(rows, row, then, now, receiver, revision)
            _say_fell_back(rows, row, now, revision)
        if then.lost_root and _post_again(rows, row, now, revision) and row.kind is EffectKind.REPLY:
            # What it says, and whom it calls, the new first message does not: it goes behind that.
            rows.db.execute("update outbox set state = 'pending' where id = ?", (row.id,))


def _log(rows: Rows, row: Row, then: Next, now: int, receiver: str, revision: int) -> None:
    if row.kind is EffectKind.POST and then.ref is not None:
        if row.fell_back:
            # News that went elsewhere while it waited are in it.
            rows.db.execute(
                "update outbox set state = 'sent', error = 'in the first message' where incident_id = ?"
                " and kind = 'reply' and state = 'pending' and fell_back = 1",
                (row.incident_id,),
            )
        rows.db.execute(
            "insert or replace into messages (incident_id, receiver, root_id, channel, ts, revision,"
            " sent_at, edited_at) values (?, ?, ?, ?, ?, ?, ?, ?)",
            (row.incident_id, receiver, row.id, then.ref.channel, then.ref.ts, revision, now, now),
        )
    elif row.kind is EffectKind.REPLY and row.reason is NotifyReason.GREW and row.fell_back:
        # It says how things are now; what was told elsewhere before it is not said again.
        rows.db.execute(
            "update outbox set state = 'sent', error = 'in a later message' where incident_id = ?"
            " and kind = 'reply' and reason = ? and state = 'pending' and fell_back = 1 and id != ?"
            " and member is null",
            (row.incident_id, NotifyReason.GREW.value, row.id),
        )
    elif row.kind is EffectKind.EDIT:
        rows.db.execute(
            "update messages set revision = max(revision, ?), edited_at = ? where incident_id = ?",
            (revision, now, row.incident_id),
        )


def _say_fell_back(rows: Rows, row: Row, now: int, revision: int) -> None:
    """Whoever reads the thread learns that others were told of it elsewhere."""
    fell_back = rows.db.execute("select fell_back from outbox where id = ?", (row.id,)).fetchone()
    if row.kind is EffectKind.EDIT or not fell_back["fell_back"]:
        return
    effect = Effect(
        kind=EffectKind.REPLY,
        incident_id=row.incident_id,
        revision=revision,
        reason=NotifyReason.FELL_BACK,
    )
    rows.insert(derive("outbox", row.incident_id, "fell-back", row.id), effect, now, now)


def _post_again(rows: Rows, row: Row, now: int, revision: int) -> bool:
    """A first message that is gone is posted once more, and only once; whether it is.

    Where messages can't be edited at all (a workspace may forbid it after some minutes), every edit
    would otherwise post anew.
    """
    posts = rows.db.execute(
        "select count(*) from outbox where incident_id = ? and kind = 'post' and state != ?",
        (row.incident_id, RowState.GATHERED.value),
    ).fetchone()[0]
    if posts > 1:
        return False
    rows.db.execute("delete from messages where incident_id = ?", (row.incident_id,))
    again = Effect(
        kind=EffectKind.POST,
        incident_id=row.incident_id,
        revision=revision,
        reason=NotifyReason.ROOT_LOST,
    )
    rows.insert(derive("outbox", row.incident_id, "post-again", revision), again, now, now)
    return True
