"""Forgetting: rows, bytes of every file, and what a replay brings back."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from schemas.case import CaseReason, EvalCase
from schemas.codec import Refused
from schemas.dead_letter import DeadLetter, Refusal
from schemas.identity import Coordinates
from schemas.incident import CasePreview, Incident, Member
from schemas.signal import Cause, Signal
from sinks.evalstore import Forget, Forgotten, Kind, StoreOwner, list_cases, open_for_reading
from sinks.evalstore.annotations import Annotate, Change
from sinks.evalstore.annotations import Kind as Annotation
from sinks.evalstore.asked import perform
from sinks.evalstore.backup import backups_of, make_backup
from sinks.evalstore.errors import BadRequest, StoreBusy
from sinks.evalstore.regroup import Undo
from sinks.evalstore.releases.bundle import read_bundle, releases_of
from sinks.evalstore.releases.freezing import Freeze
from sinks.evalstore.requests import SUFFIX, answer, answer_to, ask, pending, read
from sinks.evalstore.review_state import review_state
from streams.steps.refuse import dead_letter
from tests.evalstore.releases.test_freeze import failure
from tests.evalstore.samples import MARCH, as_written, make_case, make_incident, make_letter, make_signal

ROOT = Path(__file__).parents[2]
HOUR = 3_600_000
USER = Forget(Kind.USER, "anna-4711")
MARKS = (b"anna-4711", b"xylophonist", b"quetzalcoatl", b"zugzwang")
"""Her id, and words that only her texts have."""


def of(number: int, user: str | None, text: str, **changes: Any) -> EvalCase:
    # Random-looking text of some length, so that DuckDB's compression keeps it readable.
    question = f"{text} asks for number {number}: " + "".join(
        chr(97 + (number * i * i) % 26) for i in range(300)
    )
    trace = {"trace_id": f"trace-{number}", "question": question, "answer": text, "model": "m"}
    trace |= {} if user is None else {"user_id": user}
    return make_case(number, trace=trace, content_hash=question, **changes)


def said(number: int, user: str, comment: str) -> dict[str, Any]:
    feedback = {"kind": "thumbs", "user_id": user, "comment": comment, "timestamp": MARCH + HOUR}
    return {"event": f"{user}-{number}", "feedback": feedback}


def letter(offset: int, user: str, encoding: str = "utf-8") -> DeadLetter:
    original = json.dumps({"trace_id": f"dead-{offset}", "user_id": user, "question": "zugzwang"})
    if encoding == "base64":
        original = base64.b64encode(original.encode() + b"\xff").decode()
    return make_letter(offset).model_copy(update={"original": original, "original_encoding": encoding})


def everything() -> dict[str, Any]:
    others = [of(n, f"user-{n}", "piano") for n in range(20, 60)]
    hers = [of(n, "anna-4711", "xylophonist") for n in range(10)]
    unnamed = of(10, None, "quetzalcoatl", **said(10, "anna-4711", "quetzalcoatl is wrong"))
    reviewed = of(20, "user-20", "piano", **said(20, "anna-4711", "xylophonist says no"))
    only_hers = of(70, "user-70", "piano", **said(70, "anna-4711", "quetzalcoatl again"))
    signal = make_signal(1)
    incident = make_incident(1)
    return {
        "cases": [*hers, unnamed, *others, reviewed, only_hers],
        "signals": [signal],
        "incidents": [incident],
        "dead_letters": [
            letter(1, "anna-4711"),
            letter(2, "anna-4711", "base64"),
            letter(3, "user-20").model_copy(update={"original": '{"user_id": "user-20"}'}),
        ],
    }


def found_in(directory: Path) -> dict[str, list[str]]:
    """Every file below that holds one of the marks, read by a process of its own: see ``lock``."""
    program = """
import json, sys
from pathlib import Path
marks = [mark.encode() for mark in sys.argv[2:]]
found = {}
for path in Path(sys.argv[1]).rglob("*"):
    if path.is_file() and (hits := [m.decode() for m in marks if m in path.read_bytes()]):
        found[path.name] = hits
print(json.dumps(found))
"""
    command = [sys.executable, "-c", program, str(directory), *(mark.decode() for mark in MARKS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_not_a_byte_is_left_in_any_file(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with StoreOwner.open(path) as owner:
        owner.write(**everything(), now=MARCH)
        owner.publish(MARCH)
        owner.write([of(11, "anna-4711", "zugzwang")], now=MARCH)  # in the log only
        before = found_in(tmp_path)
        assert {"store.duckdb", "store.duckdb.wal"} <= before.keys(), before
        assert any(name.startswith("snap-") for name in before)
        done = owner.forget(USER, MARCH + 24 * HOUR)
        assert done == Forgotten(cases=13, case_events=14, dead_letters=2)
        assert found_in(tmp_path) == {}, "while the owner runs"
        assert [row[:2] for row in owner._con.execute("FROM forgotten").fetchall()] != []
        owner.write([of(71, "user-71", "piano")], now=MARCH)
        assert owner.counts().cases == 41
    assert found_in(tmp_path) == {}, "and after it has ended"
    with open_for_reading(path, MARCH) as con:
        assert len(list(list_cases(con))) == 41
        assert con.execute("SELECT kind, cases, dead_letters FROM forgotten").fetchall() == [("user", 13, 2)]
        assert con.execute("SELECT erased_at IS NOT NULL FROM forgotten").fetchall() == [(True,)]
    with StoreOwner.open(path) as owner, pytest.raises(StoreBusy):
        StoreOwner.open(path)
    assert len(list(tmp_path.glob("*.duckdb.snapshots/snap-*"))) <= 2


def test_a_replay_brings_nothing_back_but_what_is_new_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    later = of(80, "anna-4711", "later", time=MARCH + 48 * HOUR)
    with StoreOwner.open(path) as owner:
        owner.write(**everything(), now=MARCH)
        kept = 40
        owner.forget(USER, MARCH + 24 * HOUR)
        assert owner.counts().cases == kept
    with StoreOwner.open(path) as owner:
        written = owner.write(**everything(), now=MARCH + 25 * HOUR)
        # Her feedback on other people's cases is dropped, with what the case of the last one was made of.
        assert (written.cases, written.case_events, written.dead_letters) == (0, 0, 0)
        assert written.forgotten == 10 + 1 + 2 + 2
        assert owner.counts().cases == kept
        assert owner.write([later], now=MARCH + 49 * HOUR).cases == 1, "she is a user still"
        late = {"feedback": {"kind": "thumbs", "user_id": "anna-4711", "timestamp": MARCH + 48 * HOUR}}
        for old in (
            of(1, "anna-4711", "xylophonist", event="3", **late),
            of(10, None, "quetzalcoatl", event="3", **late),
        ):
            assert owner.write([old], now=MARCH + 49 * HOUR).forgotten == 1, "new feedback, but an old trace"
        assert owner.write([of(21, "user-21", "piano", event="3", **late)], now=MARCH).case_events == 1
    left = found_in(tmp_path)
    assert set(map(tuple, left.values())) == {("anna-4711",)}, "her new case names her"


def test_a_trace_is_forgotten_for_good(tmp_path: Path) -> None:
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        owner.write([of(1, "u", "xylophonist"), of(2, "u", "piano")], now=MARCH)
        assert owner.forget(Forget(Kind.TRACE, "trace-1", "desk"), MARCH).cases == 0
        assert owner.forget(Forget(Kind.TRACE, "trace-1", "shop"), MARCH) == Forgotten(1, 1)
        again = of(1, "u", "xylophonist", time=MARCH + 48 * HOUR, event="2")
        assert owner.write([again], now=MARCH).forgotten == 1
        assert (
            owner.write([again.model_copy(update={"app": "other", "case_id": "x"})], now=MARCH).forgotten == 0
        )
        assert owner.forget(Forget(Kind.TRACE, "trace-1", "shop"), MARCH) == Forgotten(), "twice is once"


def test_the_record_names_nobody_and_differs_between_stores(tmp_path: Path) -> None:
    identities = set()
    for name in ("a", "b"):
        with StoreOwner.open(tmp_path / f"{name}.duckdb") as owner:
            owner.forget(USER, MARCH)
            identities |= {row[0] for row in owner._con.execute("SELECT identity FROM forgotten").fetchall()}
    assert len(identities) == 2


def test_alarms_and_incidents_no_longer_name_a_user(tmp_path: Path) -> None:
    """Nor show excerpts of her cases, or of what she said of another's."""
    cause = Cause(dimension="user_id", current="anna-4711", share=0.9)
    reason = "user anna-4711 has used 9 tokens since midnight UTC"
    alarm = make_signal(1).model_copy(update={"cause": cause, "reason": reason, "examples": ("trace-1", "t")})
    hers, other, heard = of(1, "anna-4711", "xylophonist"), of(20, "u", "piano"), of(21, "u", "piano")
    previews = tuple(
        CasePreview(
            case_id=case.case_id,
            app="shop",
            environment="production",
            route="chat",
            trace_id=case.trace_id,
            time=MARCH,
            excerpt=excerpt,
        )
        for case, excerpt in (
            (hers, "asked: xylophonist"),
            (other, "asked: a piano"),
            (heard, "asked: a piano · said: quetzalcoatl"),
        )
    )
    incident = make_incident(1).model_copy(update={"cause": cause, "reason": reason, "cases": previews})
    members = (Member(**(alarm_fields(alarm) | {"cause": cause, "reason": reason})),)
    incident = incident.model_copy(update={"members": members})
    said_of = of(21, "u", "piano", **said(21, "anna-4711", "quetzalcoatl"))
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        owner.write([hers, other, heard, said_of], signals=[alarm], incidents=[incident], now=MARCH)
        assert owner.forget(USER, MARCH + HOUR).mentions == 2
        ((body, column),) = owner._con.execute("SELECT body, reason FROM signals").fetchall()
        left = Signal.model_validate_json(body)
        assert (left.cause and left.cause.current, left.examples) == ("[forgotten]", ("[forgotten]", "t"))
        assert column == left.reason == "user [forgotten] has used 9 tokens since midnight UTC"
        ((body,),) = owner._con.execute("SELECT body FROM incident_revisions").fetchall()
        after = Incident.model_validate_json(body)
        assert [one.case_id for one in after.cases] == [other.case_id]
        assert after.members[0].reason == column
        assert after.members[0].cause == left.cause
        assert after.revision == incident.revision
    assert found_in(tmp_path) == {}


def alarm_fields(alarm: Signal) -> dict[str, Any]:
    fields = ("signal", "rule", "severity", "onset", "detected_at")
    return {name: getattr(alarm, name) for name in fields} | {"signal_id": alarm.id}


@pytest.mark.parametrize("user", ["production", "signal", "shop", "P1", "faithfulness", "id", "40"])
def test_what_only_looks_like_the_id_stays(tmp_path: Path, user: str) -> None:
    """An environment, a name of a field, an app, a severity, a number: none of them is this user."""
    letters = [
        letter(1, "user-1"),
        letter(2, "user-2").model_copy(
            update={
                "original": json.dumps(
                    {
                        "app": "shop",
                        "environment": "production",
                        "user_id": 2,
                        "id": "40",
                        "n": 40,
                        "x": "signal",
                    }
                )
            }
        ),
    ]
    trace = make_signal(2).model_copy(
        update={"cause": Cause(dimension="model", previous="shop", current="P1")}
    )
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        owner.write(
            [of(1, "user-1", "piano")],
            signals=[make_signal(1), trace],
            incidents=[make_incident(n) for n in range(1, 4)],
            dead_letters=letters,
            now=MARCH,
        )
        before = whole(owner)
        assert owner.forget(Forget(Kind.USER, user), MARCH + HOUR) == Forgotten()
        assert whole(owner) == before


def whole(owner: StoreOwner) -> dict[str, list[Any]]:
    names = ("cases", "case_events", "signals", "incident_revisions", "dead_letters", "release_cases")
    return {name: owner._con.execute(f"FROM {name} ORDER BY ALL").fetchall() for name in names}


def refused(offset: int, original: str, encoding: str = "utf-8") -> DeadLetter:
    return make_letter(offset).model_copy(update={"original": original, "original_encoding": encoding})


HERS = {
    "a number": '{"trace_id": "t", "user_id": 4711}',
    "a number with a fraction that is none": '{"user_id":4711 , "x": NaN}',
    "more digits than a float": '{"user_id": 123456789012345678901234567890}',
    "in a list": '{"user_id": ["4711"]}',
    "in an object": '{"user_id": {"id": 4711}}',
    "below": '{"trace_id": 1, "trace": {"user_id": 4711}}',
    "of an array": '[{"user_id": "x"}, {"user_id": 4711}]',
    "escaped": '{"user_id": "\\u0034711"}',
    "half an event": '{"trace_id": "t", "user_id": 4711, "question": "wh',
    "no JSON": "user 4711 was here",
}
NOT_HERS = {
    "another's": '{"trace_id": "t", "user_id": 47110}',
    "another field": '{"trace_id": "4711", "user_id": 5, "input_tokens": 4711, "4711": "4711"}',
    "within a word": '{"user_id": 47110, "question": "a4711',
}


@pytest.mark.parametrize("app", [None, "shop"])
def test_refused_events_go_by_what_they_name(tmp_path: Path, app: str | None) -> None:
    """And do not come back; what only resembles them stays."""
    who = {"more digits than a float": "123456789012345678901234567890"}
    for number, (name, original) in enumerate(HERS.items()):
        if app is not None:
            original = original.replace('{"', f'{{"app": "{app}", "', 1) if original[0] == "{" else original
            original = original.replace('{"user_id": "x"}, {', '{"user_id": "x"}, {"app": "shop", ')
        letters = [refused(1, original), *(refused(2 + n, text) for n, text in enumerate(NOT_HERS.values()))]
        others = [refused(90, '{"user_id": 4711, "app": "desk"}')] if app is not None else []
        with StoreOwner.open(tmp_path / f"{number}.duckdb") as owner:
            owner.write(dead_letters=[*letters, *others], now=MARCH)
            wanted = Forget(Kind.USER, who.get(name, "4711"), app)
            assert owner.forget(wanted, MARCH + HOUR).dead_letters == 1, name
            left = [row[0] for row in owner._con.execute("SELECT id FROM dead_letters").fetchall()]
            assert sorted(left) == sorted(one.id for one in [*letters[1:], *others]), name
        with StoreOwner.open(tmp_path / f"{number}.duckdb") as owner:
            again = owner.write(dead_letters=[*letters, *others], now=MARCH + HOUR)
            assert (again.forgotten, again.dead_letters) == (1, 0), name


def test_bytes_that_are_no_utf_8_are_read_too(tmp_path: Path) -> None:
    """As ``dead_letter`` keeps them: backslash escapes, whatever was meant."""
    event = '{"trace_id": "t", "user_id": "anna-müller"}'
    letters = [
        dead_letter(Refused(Refusal.BAD_ENCODING, "no UTF-8"), Coordinates("s", "traces", 0, n), MARCH, data)
        for n, data in enumerate([event.encode("latin-1"), event.encode("utf-16"), event.encode() + b"\xff"])
    ]
    assert {one.original_encoding for one in letters} == {"ascii, backslash escapes"}
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        owner.write(dead_letters=letters, now=MARCH)
        assert owner.forget(Forget(Kind.USER, "anna-muller"), MARCH).dead_letters == 0
        assert owner.forget(Forget(Kind.USER, "anna-müller"), MARCH).dead_letters == 3
        assert owner.write(dead_letters=letters, now=MARCH).forgotten == 3


def test_a_correction_goes_out_of_what_was_frozen_with_it(tmp_path: Path) -> None:
    """The case is somebody else's, and stays frozen; the release gets the hash of what is left."""
    path = tmp_path / "store.duckdb"
    correction = {"kind": "correction", "user_id": "anna-4711", "timestamp": MARCH + HOUR}
    cases = [of(n, f"user-{n}", "piano") for n in range(1, 4)]
    cases[1:3] = [
        of(n, f"user-{n}", "piano", expected_answer="xylophonist", event=f"c{n}", feedback=correction)
        for n in (2, 3)
    ]
    same = of(3, "user-3", "piano", event="other", expected_answer="xylophonist", feedback={"user_id": "bob"})
    with StoreOwner.open(path) as owner:
        owner.write(
            [cases[0], of(2, "user-2", "piano"), of(3, "user-3", "piano"), *cases[1:], same], now=MARCH
        )
        before = owner.freeze(Freeze("v1", tuple(case.case_id for case in cases), {}), MARCH)
        untouched = owner.freeze(Freeze("v0", (cases[0].case_id,), {}), MARCH)
        owner.publish(MARCH)
        assert owner.forget(USER, MARCH + 2 * HOUR) == Forgotten(case_events=2, mentions=1)
    bundle = read_bundle(releases_of(path) / "v1")
    assert bundle.intact
    assert [case["expected_answer"] for case in bundle.cases] == [None, None, "xylophonist"]
    assert (bundle.frozen.cases, bundle.frozen.forgotten) == (3, 0)
    assert bundle.frozen.sha256 != before.sha256
    assert read_bundle(releases_of(path) / "v0").frozen == untouched
    with StoreOwner.open(path) as owner:  # bob says the same: the text is his, too
        owner.forget(Forget(Kind.USER, "bob"), MARCH + 2 * HOUR)
    assert found_in(tmp_path) == {}


@pytest.mark.parametrize("step", ["rewrite", "publish"])
def test_what_was_interrupted_is_finished_by_the_next_owner(tmp_path: Path, step: str) -> None:
    """Killed after the rows are deleted, before or after the file is written anew."""
    path = tmp_path / "store.duckdb"
    program = f"""
import os, sys
from pathlib import Path
import sinks.evalstore.owner as module
from tests.evalstore.test_forget import MARCH, USER, everything
owner = module.StoreOwner.open(Path({str(path)!r}))
owner.write(**everything(), now=MARCH)
owner.publish(MARCH)
module.{step} = lambda *_, **__: os._exit(9)
owner.forget(USER, MARCH + 86_400_000)
"""
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 9
    (tmp_path / "store.duckdb.new-crashed").write_bytes(b"xylophonist")
    assert found_in(tmp_path) != {}
    with StoreOwner.open(path) as owner:
        owner.publish(MARCH)
        assert found_in(tmp_path) == {}
        assert owner.counts().cases == 40


def test_the_lock_outlives_the_file(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with StoreOwner.open(path) as owner:
        owner.write([of(1, "anna-4711", "xylophonist"), of(2, "u", "piano")], now=MARCH)
        before = os.stat(path).st_ino
        owner.forget(USER, MARCH)
        assert os.stat(path).st_ino != before
        program = f"import duckdb; duckdb.connect({str(path)!r})"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert "Could not set lock on file" in done.stderr
        owner.write([make_case(3, CaseReason.ERROR)], now=MARCH)
        assert owner.counts().cases == 2


def test_what_reviewers_wrote_of_her_cases_goes_too(tmp_path: Path) -> None:
    """Out of the store, of releases that froze it with another case of the cluster, of backups, and of
    answers.
    """
    path = tmp_path / "store.duckdb"
    hers = failure(0, trace=failure(0).trace | {"user_id": "anna-4711"})  # type: ignore[operator]
    case_id, other = hers.case_id, failure(1).case_id
    texts = (
        Change(Annotation.EXPECTED, "the xylophonist is owed quetzalcoatl " + "abcdefghij" * 30),
        Change(Annotation.MUST, "names the xylophonist"),
        Change(Annotation.MUST_NOT, "mentions quetzalcoatl"),
        Change(Annotation.LABEL, "zugzwang"),
        Change(Annotation.MUST, "cites the policy"),
    )
    with StoreOwner.open(path) as owner:
        owner.write([hers, failure(1, like=0), failure(9)], now=MARCH)
        owner.annotate(Annotate(case_id, "ann", texts), as_written, MARCH)
        owner.annotate(Annotate(failure(9).case_id, "ann", texts[-1:]), as_written, MARCH)
        owner.freeze(Freeze("v0", (case_id,), {}), MARCH)
        owner.freeze(Freeze("v1", (other, failure(9).case_id), {}), MARCH)
        owner.freeze(Freeze("v2", (failure(9).case_id,), {}), MARCH)
        untouched = (releases_of(path) / "v2" / "cases.jsonl").stat().st_mtime_ns
        frozen = read_bundle(releases_of(path) / "v1").cases[0]
        assert (frozen["case_id"], frozen["labels"]) == (other, ["zugzwang"])
        assert frozen["must"] == ["names the xylophonist", "cites the policy"]
        owner.undo(Undo("ann", owner._con.execute(LATEST).fetchone()[0]), MARCH)  # type: ignore[index]
        # An asker who went before its answer came, and one whose request came too late.
        said = {"case_id": case_id, "actor": "ann", "changes": [list(texts[0])], "state": True}
        gone = ask(path, {"annotate": said})
        (request,) = pending(path)
        answer(request, perform(owner, read(request).request, as_written, MARCH)[1])
        owner.publish(MARCH)
        make_backup(path, backups_of(path), MARCH)
        before = found_in(tmp_path)
        assert {"store.duckdb", "cases.jsonl", gone.name} <= before.keys()
        assert owner.forget(USER, MARCH + 24 * HOUR).cases == 1
        assert found_in(tmp_path) == {}, "while the owner runs"
        assert (answer_to(gone) or {}).keys() == {"id", "changed", "cases", "redacted"}
        release = read_bundle(releases_of(path) / "v1")
        assert (release.intact, release.frozen.cases, release.frozen.forgotten) == (True, 2, 0)
        left = release.cases[0]
        assert (left["labels"], left["must"], left["must_not"]) == ([], ["cites the policy"], [])
        hers_alone = read_bundle(releases_of(path) / "v0")
        assert (hers_alone.intact, hers_alone.frozen.cases, hers_alone.frozen.forgotten) == (True, 0, 1)
        assert (releases_of(path) / "v2" / "cases.jsonl").stat().st_mtime_ns == untouched
        assert review_state(owner._con, other).labels == []
        assert review_state(owner._con, failure(9).case_id).must == ["cites the policy"]
        late = ask(path, {"annotate": said})
        (request,) = pending(path)
        with pytest.raises(BadRequest, match="no such case"):
            perform(owner, read(request).request, as_written, MARCH)
        answer(request, {"error": "no such case", "refused": True})
        assert answer_to(late) is not None
    assert found_in(tmp_path) == {}, "and after it has ended"
    assert list((tmp_path / ("store.duckdb" + SUFFIX)).iterdir()) == []


LATEST = "SELECT annotation_id FROM case_annotations WHERE kind = 'label'"
