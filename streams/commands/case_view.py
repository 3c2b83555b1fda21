"""Cases as a person reads them: a table of many, the whole of one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from schemas.observation import DEFAULT
from sinks.evalstore import CaseSummary, ClusterSummary
from streams.commands.printable import one_line, printable

VERSIONS = ("provider", "model", "served_model", "prompt_version", "index_version", "release")
TABLE_WIDTH = 130
"""Columns from which a table leaves the questions enough room."""
SHORT_ID = 8
"""Characters of an id in a table: enough for `cases show` in all but very large stores."""


def console() -> Console:
    """To standard output; wider than 80 columns where neither a terminal nor COLUMNS says how wide it is."""
    plain = Console(highlight=False, emoji=False, markup=False)
    if plain.is_terminal or os.environ.get("COLUMNS", "").isdigit():
        return plain
    return Console(highlight=False, emoji=False, markup=False, width=140)


def segment(app: str, environment: str, route: str) -> str:
    """The segment in words, without the parts that nobody named.

    >>> segment("shop", "default", "chat")
    'shop · chat'
    """
    return " · ".join([one_line(app), *(one_line(part) for part in (environment, route) if part != DEFAULT)])


def case_list(cases: Sequence[CaseSummary], width: int) -> RenderableType:
    """A table where ``width`` has room for one, else two lines per case."""
    return (
        _table(cases) if width >= TABLE_WIDTH else Group(*(line for case in cases for line in _lines(case)))
    )


def _lines(case: CaseSummary) -> Iterator[Text]:
    short, time, app, reasons, score, same, question = _cells(case)
    yield Text("  ".join((f"{short:<9}", time, score, same, app)).rstrip(), style="bold")
    yield Text(f"    {reasons}: {question}", no_wrap=True, overflow="ellipsis")


def _cells(case: CaseSummary) -> tuple[str, ...]:
    return (
        case.case_id[:SHORT_ID] + ("" if case.replayable else "!"),
        case.ts[:16].replace("T", " "),
        segment(case.app, case.environment, case.route),
        ", ".join(case.reasons),
        "–" if case.score is None else f"{case.score:.2f}",
        f"×{case.cluster_size}" if case.cluster_size > 1 else "",
        one_line(case.question) if case.question else "(no question)",
    )


def _table(cases: Sequence[CaseSummary]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, expand=True)
    table.add_column("case", no_wrap=True, min_width=SHORT_ID + 1)
    table.add_column("time (UTC)", no_wrap=True, min_width=16)
    table.add_column("app", max_width=24)
    table.add_column("reasons", min_width=11, max_width=28)
    table.add_column("score", justify="right", no_wrap=True, min_width=5)
    table.add_column("same", justify="right", no_wrap=True, min_width=4)
    table.add_column("question", no_wrap=True, overflow="ellipsis", ratio=1)
    for case in cases:
        table.add_row(*_cells(case))
    return table


def cluster_list(clusters: Sequence[ClusterSummary], width: int) -> RenderableType:
    """A table where ``width`` has room for one, else two lines per cluster."""
    if width < TABLE_WIDTH:
        return Group(*(line for cluster in clusters for line in _cluster_lines(cluster)))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, expand=True)
    table.add_column("rank", justify="right", no_wrap=True, min_width=5)
    table.add_column("cases", justify="right", no_wrap=True, min_width=5)
    table.add_column("first and last (UTC)", no_wrap=True, min_width=23)
    table.add_column("representative", no_wrap=True, min_width=14)
    table.add_column("app", max_width=16)
    table.add_column("reasons", min_width=11, max_width=24)
    table.add_column("question", no_wrap=True, overflow="ellipsis", ratio=1)
    for cluster in clusters:
        table.add_row(*_cluster_cells(cluster))
    return table


def _cluster_lines(cluster: ClusterSummary) -> Iterator[Text]:
    rank, cases, times, short, app, reasons, question = _cluster_cells(cluster)
    yield Text(f"{rank:>5}  ×{cases}  {times}  {short}  {app}", style="bold")
    yield Text(f"    {reasons}: {question}", no_wrap=True, overflow="ellipsis")


def _cluster_cells(cluster: ClusterSummary) -> tuple[str, ...]:
    return (
        f"{cluster.rank:.1f}",
        f"{cluster.cases:,}",
        f"{cluster.first_seen[:10]} – {cluster.last_seen[:10]}",
        cluster.representative[:SHORT_ID],
        one_line(cluster.app),
        ", ".join(cluster.reasons),
        one_line(cluster.question) if cluster.question else "(no question)",
    )


def case_view(case: dict[str, Any]) -> RenderableType:
    """One case whole, in the order in which it came about: asked, retrieved, answered, judged."""
    parts: list[RenderableType] = [_panel("case", _head(case))]
    contexts = case["contexts"] or []
    if case["trace"] is not None:
        passages = Group(*_contexts(contexts)) if contexts else _text(None)
        parts.append(_panel("question", _text(case["question"])))
        parts.append(_panel(f"contexts ({len(contexts)})", passages))
        parts.append(_panel("answer", _text(case["answer"])))
    if case["expected_answer"] is not None:
        of = "by a reviewer" if case["expected_from"] == "reviewer" else "by a user's correction"
        parts.append(_panel(f"expected answer, {of}", _text(case["expected_answer"])))
    for name in ("must", "must_not"):
        if case[name]:
            criteria = Group(*(Text(f"- {one_line(each)}") for each in case[name]))
            parts.append(_panel(f"a right answer {name.replace('_', ' ')}", criteria))
    events = case["events"]
    parts.append(_panel(f"why it is a case ({len(events)})", Group(*(_event(event) for event in events))))
    return Group(*parts)


def _panel(title: str, body: RenderableType) -> Panel:
    return Panel(body, title=title, title_align="left", border_style="dim", padding=(0, 1))


def _text(value: object) -> Text:
    return Text("(not published)", style="dim") if value is None else Text(printable(value))


def _head(case: dict[str, Any]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for name, value in _facts(case):
        grid.add_row(name, Text(value))
    return grid


def _facts(case: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "id", case["case_id"]
    yield "trace", printable(case["trace_id"])
    yield "app", segment(case["app"], case["environment"], case["route"])
    yield "time", case["ts"]
    yield "reasons", ", ".join(case["reasons"])
    if case["score"] is not None:
        yield "score", f"{case['score']:.3f} by {printable(case['scorer'] or 'an unnamed scorer')}"
    versions = [f"{name} {one_line(case[name])}" for name in VERSIONS if case[name] is not None]
    yield "versions", ", ".join(versions) or "(none published)"
    status = case["price_status"]
    cost = f"${case['cost_usd']:.6f}" if case["cost_usd"] is not None else "unknown"
    yield "cost", f"{cost} ({status})" if status else cost
    same = case["cluster_size"] - 1
    yield "cluster", case["cluster_id"] + (f", {same} more like it" if same else "")
    if case["labels"]:
        yield "labels", ", ".join(one_line(label) for label in case["labels"])
    if case["assigned"] is not None:
        yield "assigned", one_line(case["assigned"])
    yield "replayable", "yes" if case["replayable"] else "no, it lacks " + "; ".join(case["missing"])
    if case["redactions"]:
        yield "redacted", f"{case['redactions']} pieces of text"
    if case["replaced_characters"]:
        yield "replaced", f"{case['replaced_characters']} broken characters by �"
    at = case["coordinates"]
    if at is not None:
        element = f", element {at['index']}" if at["index"] else ""
        yield "in the log", f"{at['topic']}[{at['partition']}] at offset {at['offset']}{element}"


def _contexts(contexts: Sequence[dict[str, Any]]) -> Iterator[RenderableType]:
    for number, context in enumerate(contexts, 1):
        score = "" if context["score"] is None else f"  {context['score']:.3f}"
        yield Text(f"[{number}] {one_line(context['id'] or '')}{score}".rstrip(), style="dim")
        yield Padding(_text(context["text"]), (0, 0, 0, 4))


def _event(event: dict[str, Any]) -> RenderableType:
    lines = [Text(f"{event['ts']}  {', '.join(event['reasons'])}", style="bold")]
    feedback, score = event["feedback"] or {}, event["score"] or {}
    told = [f"{name}: {one_line(feedback[name])}" for name in _TOLD if feedback.get(name) is not None]
    if told:
        lines.append(Text("    " + "  ".join(told)))
    if score:
        named = " ".join(one_line(score[name]) for name in ("scorer", "scorer_version") if score.get(name))
        lines.append(
            Text(f"    score {score.get('value')} by {named}: {one_line(score.get('reason') or '–')}")
        )
        for claim in score.get("claims") or ():
            mark = "✓" if claim.get("supported") else "✗"
            why = f"  ({one_line(claim['reason'])})" if claim.get("reason") else ""
            lines.append(Text(f"      {mark} {one_line(claim.get('statement', ''))}{why}"))
    return Group(*lines)


_TOLD = ("kind", "value", "reason", "comment", "user_id", "review_seconds")
