"""Holds what Gleaner stored against what the converter knows to be true.

    python -m examples.ragtruth.check traffic --store gleaner-data/store.duckdb

Reads ``expected.json`` and ``traces.jsonl`` of the converter and the store's latest snapshot, and
computes the failing traces on its own: thumbs-down and escalations from the labels, low scores by
asking the scorer again. Exits 1 where anything differs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from examples.ragtruth.convert import contexts_hash
from schemas.identity import Coordinates
from schemas.score import Score, ScoreRequest
from sinks.evalstore.access import open_for_reading
from sinks.evalstore.reading import event_counters, totals
from streams.judges.offline import score_request_now


def low_scores(traces: Path) -> set[str]:
    """trace_ids that the offline scorer calls low, scored here and now."""
    low = set()
    for line in traces.read_bytes().splitlines():
        event = json.loads(line)
        request = ScoreRequest(
            app=event["app"],
            trace_id=event["trace_id"],
            time=0,
            at=Coordinates("", "", 0, 0),
            question=event["question"],
            answer=event["answer"],
            contexts=tuple(event["contexts"]),
        )
        result = score_request_now(request)
        if isinstance(result, Score) and result.low:
            low.add(event["trace_id"])
    return low


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("traffic", type=Path, help="the converter's --out folder")
    parser.add_argument("--store", type=Path, required=True)
    arguments = parser.parse_args()
    expected: dict[str, Any] = json.loads((arguments.traffic / "expected.json").read_text())
    complained = set(expected["thumbs_down_trace_ids"]) | set(expected["escalated_trace_ids"])
    failing = complained | low_scores(arguments.traffic / "traces.jsonl")

    with open_for_reading(arguments.store, int(time.time() * 1000)) as con:
        counters = event_counters(con).get(expected["app"], {})
        stored = totals(con)
        cases = {
            trace_id: (contexts, set(reasons))
            for trace_id, contexts, reasons in con.execute(
                "SELECT l.trace_id, c.contexts, l.reasons FROM case_list l JOIN cases c USING (case_id)"
            ).fetchall()
        }
    processed = sum(counters.get(kind, 0) for kind in ("traces", "feedback", "changes", "duplicates"))
    only_costly = {trace_id for trace_id, (_, reasons) in cases.items() if reasons == {"high_cost"}}
    broken = [
        trace_id
        for trace_id, (contexts, _) in cases.items()
        if contexts_hash([passage["text"] for passage in contexts]) != expected["contexts_sha256"][trace_id]
    ]
    checks = {
        f"events in {expected['events']} = processed {processed} + dead letters {stored.dead_letters}": (
            expected["events"] == processed + stored.dead_letters
        ),
        f"failing traces {len(failing)} = cases {len(cases) - len(only_costly)}"
        f" (+ {len(only_costly)} for their cost alone)": set(cases) - only_costly == failing,
        f"contexts of {len(cases)} cases byte for byte, {len(broken)} differ": not broken,
        f"late {counters.get('late', 0)}, unjoined {counters.get('unjoined', 0)}": (
            not counters.get("late") and not counters.get("unjoined")
        ),
    }
    for text, holds in checks.items():
        print("ok " if holds else "NO ", text)
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
