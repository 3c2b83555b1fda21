"""What a store's owner can be asked to do: by the command that became it, or by way of ``requests``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from sinks.evalstore.annotations import Private, read_annotate
from sinks.evalstore.errors import BadRequest
from sinks.evalstore.forget import read_forget
from sinks.evalstore.owner import StoreOwner
from sinks.evalstore.regroup import read_merge, read_split, read_undo
from sinks.evalstore.releases.freezing import read_freeze
from sinks.evalstore.releases.kept import read_run
from sinks.evalstore.releases.reviews import read_review
from sinks.evalstore.requests import STATE

log = logging.getLogger(__name__)

Done = tuple[str, dict[str, Any]]


class When(NamedTuple):
    """When something was asked for, in epoch ms, and the request's name; None: it is never done again."""

    at: int
    request: str | None


def perform(
    owner: StoreOwner,
    request: Any,
    private: Private,
    now: int,
    publish: bool = True,
    asked: int | None = None,
    name: str | None = None,
) -> Done:
    """What was done, in a word, and the answer; ``now``, and ``asked`` where it was asked earlier: epoch ms.

    Done twice under the same ``name``, as after a crash that left the request unanswered, it is done once.
    ``private`` is what the apps' privacy policies let in of what people write. Readers of snapshots see it
    once this returns, unless ``publish`` leaves it to the next one, or the snapshot fails (a full disk): what
    is done is done, and asked for again it would be done twice. With ``"state": true`` in it a request is one
    of many, whose asker looks at the answer and at no snapshot: none is published, and the answer has the
    case's ``state``; ``{"publish": {}}`` comes after the many. Raises ``ValueError`` where the request cannot
    be read, ``BadRequest`` where it is refused.
    """
    kind = next(iter(request), None) if isinstance(request, dict) and len(request) == 1 else None
    if kind == "publish":
        if owner.unpublished:
            owner.publish(now)
        return "published what waited", {}
    if kind not in DONE:
        return "forgot", owner.forget(read_forget(request), now)._asdict()
    done = DONE[kind](owner, request, private, When(now if asked is None else asked, name))
    if publish and not _wants_state(request[kind]):
        try:
            owner.publish(now)
        except Exception:
            log.exception("store: it is done; no snapshot was published, the next one shows it")
    return done


def _freeze(owner: StoreOwner, request: Any, private: Private, when: When) -> Done:
    return "froze a release", owner.freeze(read_freeze(request), when.at)._asdict()


def _review(owner: StoreOwner, request: Any, private: Private, when: When) -> Done:
    said = read_review(request)
    done = owner.review(said._replace(note=_note(owner, said.note, said.case_id, private)), *when)
    return "kept a verdict", done._asdict() | _state(owner, request["review"], said.case_id)


def _annotate(owner: StoreOwner, request: Any, private: Private, when: When) -> Done:
    wanted = read_annotate(request)
    done = owner.annotate(wanted, private, when.at)
    return "kept what a reviewer wrote", done._asdict() | _state(owner, request["annotate"], wanted.case_id)


def _keep(owner: StoreOwner, request: Any, private: Private, when: When) -> Done:
    run = read_run(request)
    return "kept a gate's run", {"run_id": owner.keep(run, when.at), "results": len(run.results)}


def _split(owner: StoreOwner, request: Any, private: Private, when: When) -> Done:
    wanted = read_split(request)
    note = _note(owner, wanted.note, wanted.case_ids[0], private)
    return "split a cluster", owner.split(wanted._replace(note=note), *when)._asdict()


def _merge(owner: StoreOwner, request: Any, private: Private, when: When) -> Done:
    wanted = read_merge(request)
    note = _note(owner, wanted.note, wanted.cluster_id, private)
    return "merged two clusters", owner.merge(wanted._replace(note=note), *when)._asdict()


def _undo(owner: StoreOwner, request: Any, private: Private, when: When) -> Done:
    done = owner.undo(read_undo(request), *when)
    return "took something back", done._asdict() | _state(owner, request["undo"], done.case_id)


def _state(owner: StoreOwner, request: Any, case_id: str | None) -> dict[str, Any]:
    """What stands now, if that was asked for: who goes on reviewing need not wait for a snapshot."""
    if not _wants_state(request):
        return {}
    return {STATE: None if case_id is None else owner.review_state(case_id)._asdict()}


def _wants_state(request: Any) -> bool:
    return isinstance(request, dict) and request.get(STATE) is True


def _note(owner: StoreOwner, note: str | None, about: str, private: Private) -> str | None:
    """A note as the policy of the app that it is about lets it be stored."""
    app = owner.app_of(about) if note else None
    if note is None or app is None:  # of no such case: the owner refuses what the note is on
        return note
    kept = private(app, note)
    if kept is None:
        raise BadRequest(f"the privacy policy of {app} keeps ids only: say it without a note")
    return kept


DONE: dict[str | None, Callable[[StoreOwner, Any, Private, When], Done]] = {
    "freeze": _freeze,
    "review": _review,
    "annotate": _annotate,
    "keep": _keep,
    "split": _split,
    "merge": _merge,
    "undo": _undo,
}
"""By the request's only key; another one is a request to forget, or none."""
