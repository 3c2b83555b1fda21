"""RAGTruth answers as the traffic of an application whose provider changes the model without a word.

    python examples/ragtruth/convert.py RAGTRUTH.jsonl --out traffic

Before the change every answer is one of the GPT models', after it one of the four open models', which
hallucinate far more often. The requested model stays the same; only ``served_model`` tells. Questions,
passages and answers are RAGTruth's, byte for byte. What is made up: arrival times, identities, model
names, token counts (characters / 4) and the users, who complain with the probabilities below where
the label says "hallucinated", and seldom elsewhere. The same seed gives the same files.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from schemas.base import parse_time, rfc3339

DAY_MS = 86_400_000
APP, ENVIRONMENT, ROUTE = "ragtruth-bot", "production", "qa"
MODEL = "gpt-4o"
"""The requested model: a name that price lists know, so that every trace has a cost. It never answered."""
SERVED_BEFORE, SERVED_AFTER = "support-large-2026-01", "support-large-2026-02"
GPT_MODELS = ("gpt-3.5-turbo-0613", "gpt-4-0613")
OPEN_MODELS = ("llama-2-7b-chat", "llama-2-13b-chat", "llama-2-70b-chat", "mistral-7B-instruct")

THUMBS_DOWN = {True: 0.35, False: 0.03}
ESCALATION = {True: 0.25, False: 0.01}
"""Probability by the label ``hallucinated``; the two are drawn independently."""
EARLIEST_FEEDBACK_MS, LATEST_FEEDBACK_MS = 20_000, 480_000
"""Users answer within eight minutes: before a conversation's outcome is decided, after ten."""
DAILY_SWING, BUSIEST_HOUR = 0.6, 14.0
"""Traffic is (1 + swing) of its mean at the busiest hour (UTC), (1 - swing) twelve hours later."""

Event = dict[str, Any]


class Plan(NamedTuple):
    """``before`` traces in ``days`` from ``start``, then ``after`` traces at the same mean rate."""

    before: int
    after: int
    days: float
    start: int
    seed: int
    task: str

    @property
    def change_at(self) -> int:
        return self.start + round(self.days * DAY_MS)

    @property
    def end(self) -> int:
        return self.change_at + round(self.days * DAY_MS * self.after / self.before)


class Traffic(NamedTuple):
    traces: list[Event]
    feedback: list[Event]
    expected: dict[str, Any]


def load(path: Path, task: str) -> dict[str, list[Event]]:
    """The rows of a task by model. Raises ``ValueError`` where a line is no RAGTruth row."""
    rows: dict[str, list[Event]] = {}
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError(f"line {number}: is no JSON object")
            missing = {"question", "contexts", "answer", "model", "hallucinated", "task_type"} - row.keys()
            if missing:
                raise ValueError(f"line {number}: {min(missing)}: is missing")
            if task in ("all", row["task_type"]):
                rows.setdefault(row["model"], []).append(row)
    return rows


def arrivals(count: int, start: int, end: int, rng: random.Random) -> list[int]:
    """``count`` times of a Poisson process with a daily cycle: given their number, they are independent."""
    times: list[int] = []
    while len(times) < count:
        time = rng.randrange(start, end)
        hour = time % DAY_MS / 3_600_000
        rate = 1 + DAILY_SWING * math.cos((hour - BUSIEST_HOUR) / 24 * math.tau)
        if rng.random() * (1 + DAILY_SWING) < rate:
            times.append(time)
    return sorted(times)


def trace(number: int, time: int, row: Event, served: str) -> Event:
    return {
        "trace_id": f"ragtruth-{number:06}",
        "timestamp": rfc3339(time),
        "app": APP,
        "environment": ENVIRONMENT,
        "route": ROUTE,
        "conversation_id": f"ragtruth-conversation-{number:06}",
        "provider": "openai",
        "model": MODEL,
        "served_model": served,
        "prompt_version": "qa-7",
        "index_version": "passages-1",
        "question": row["question"],
        "contexts": row["contexts"],
        "answer": row["answer"],
        "input_tokens": (len(row["question"]) + sum(map(len, row["contexts"]))) // 4,
        "output_tokens": len(row["answer"]) // 4,
        "tags": {"ragtruth_id": row.get("id"), "ragtruth_source_id": row.get("source_id")},
    }


def complaints(event: Event, time: int, hallucinated: bool, rng: random.Random) -> list[tuple[int, Event]]:
    """What the user of this answer sends, each with its time."""
    sent: list[tuple[int, Event]] = []
    for kind, value, chances in (("thumbs", "down", THUMBS_DOWN), ("escalation", True, ESCALATION)):
        if rng.random() < chances[hallucinated]:
            at = time + rng.randrange(EARLIEST_FEEDBACK_MS, LATEST_FEEDBACK_MS)
            complaint = {
                "feedback_id": f"{event['trace_id']}-{kind}",
                "trace_id": event["trace_id"],
                "timestamp": rfc3339(at),
                "app": APP,
                "kind": kind,
                "value": value,
            }
            sent.append((at, complaint))
    return sent


def contexts_hash(contexts: Sequence[str]) -> str:
    """sha256 of the contexts as JSON in UTF-8, without spaces, nothing escaped that JSON lets stand.

    >>> contexts_hash(["½ cup"])[:12]
    '752ce5896927'
    """
    text = json.dumps(list(contexts), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def convert(rows: dict[str, list[Event]], plan: Plan) -> Traffic:
    """The traffic of a plan, and what it must come to. Raises ``ValueError`` where a side has no rows."""
    rng = random.Random(plan.seed)
    traces: list[Event] = []
    feedback: list[tuple[int, Event]] = []
    hallucinated = {"before": 0, "after": 0}
    periods = (
        ("before", GPT_MODELS, SERVED_BEFORE, plan.before, plan.start, plan.change_at),
        ("after", OPEN_MODELS, SERVED_AFTER, plan.after, plan.change_at, plan.end),
    )
    for period, models, served, count, start, end in periods:
        pool = [row for model in models for row in rows.get(model, ())]
        if not pool:
            raise ValueError(f"no rows of {', '.join(models)} for the time {period} the change")
        for time in arrivals(count, start, end, rng):
            row = rng.choice(pool)
            event = trace(len(traces) + 1, time, row, served)
            traces.append(event)
            feedback += complaints(event, time, row["hallucinated"], rng)
            hallucinated[period] += row["hallucinated"]
    feedback.sort(key=lambda item: item[0])
    sent = [event for _, event in feedback]
    return Traffic(traces, sent, _expected(plan, traces, sent, hallucinated))


def _expected(
    plan: Plan, traces: list[Event], feedback: list[Event], hallucinated: dict[str, int]
) -> dict[str, Any]:
    thumbs = sorted({event["trace_id"] for event in feedback if event["kind"] == "thumbs"})
    escalated = sorted({event["trace_id"] for event in feedback if event["kind"] == "escalation"})
    return {
        "app": APP,
        "environment": ENVIRONMENT,
        "route": ROUTE,
        "seed": plan.seed,
        "start": rfc3339(plan.start),
        "change_at": rfc3339(plan.change_at),
        "end": rfc3339(plan.end),
        "change": {"dimension": "served_model", "from": SERVED_BEFORE, "to": SERVED_AFTER},
        "events": len(traces) + len(feedback),
        "traces": len(traces),
        "traces_before": plan.before,
        "traces_after": plan.after,
        "hallucinated_before": hallucinated["before"],
        "hallucinated_after": hallucinated["after"],
        "feedback": len(feedback),
        "thumbs_down": len(thumbs),
        "escalations": len(escalated),
        "complained_traces": len(set(thumbs) | set(escalated)),
        "thumbs_down_trace_ids": thumbs,
        "escalated_trace_ids": escalated,
        "contexts_sha256": {event["trace_id"]: contexts_hash(event["contexts"]) for event in traces},
    }


def write(traffic: Traffic, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, events in (("traces", traffic.traces), ("feedback", traffic.feedback)):
        lines = (json.dumps(event, ensure_ascii=False) + "\n" for event in events)
        (out / f"{name}.jsonl").write_bytes("".join(lines).encode())
    expected = json.dumps(traffic.expected, ensure_ascii=False, indent=1) + "\n"
    (out / "expected.json").write_bytes(expected.encode())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="RAGTruth rows as JSONL")
    parser.add_argument("--out", type=Path, default=Path("traffic"), help="folder for the three files")
    parser.add_argument("--before", type=int, default=3000, help="traces before the change")
    parser.add_argument("--after", type=int, default=1500, help="traces after it, at the same mean rate")
    parser.add_argument("--days", type=float, default=5.0, help="days before the change")
    parser.add_argument("--start", default="2026-03-02T00:00:00Z", help="time of the first day")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--task", choices=("QA", "Summary", "all"), default="QA", help="rows of which task")
    given = parser.parse_args(arguments)
    try:
        if min(given.before, given.after) < 1 or given.days <= 0:
            raise ValueError("--before, --after and --days: must be positive")
        start = parse_time(given.start)
        plan = Plan(given.before, given.after, given.days, start, given.seed, given.task)
        traffic = convert(load(given.file, plan.task), plan)
        write(traffic, given.out)
    except (OSError, ValueError) as error:
        print(f"{given.file}: {error}", file=sys.stderr)
        return 2
    expected = traffic.expected
    print(
        f"{expected['traces']} traces and {expected['feedback']} pieces of feedback in {given.out}; "
        f"the served model changes at {expected['change_at']}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
