"""What a store's owner can be asked to do: by the command that became it, or by way of ``requests``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from sinks.evalstore.forget import read_forget
from sinks.evalstore.owner import StoreOwner
from sinks.evalstore.regroup import read_merge, read_split, read_undo
from sinks.evalstore.releases.freezing import read_freeze
from sinks.evalstore.releases.kept import read_run
from sinks.evalstore.releases.reviews import read_review

log = logging.getLogger(__name__)


def perform(owner: StoreOwner, request: Any, now: int, publish: bool = True) -> tuple[str, dict[str, Any]]:
    """What was done, in a word, and the answer; ``now`` in epoch ms.

    Readers of snapshots see it once this returns, unless ``publish`` leaves it to the next one, or the
    snapshot fails (a full disk): what is done is done, and asked for again it would be done twice. Raises
    ``ValueError`` where the request cannot be read, ``BadRequest`` where it is refused.
    """
    kind = next(iter(request), None) if isinstance(request, dict) and len(request) == 1 else None
    if kind not in DONE:
        return "forgot", owner.forget(read_forget(request), now)._asdict()
    done = DONE[kind](owner, request, now)
    if publish:
        try:
            owner.publish(now)
        except Exception:
            log.exception("store: it is done; no snapshot was published, the next one shows it")
    return done


def _freeze(owner: StoreOwner, request: Any, now: int) -> tuple[str, dict[str, Any]]:
    return "froze a release", owner.freeze(read_freeze(request), now)._asdict()


def _review(owner: StoreOwner, request: Any, now: int) -> tuple[str, dict[str, Any]]:
    return "kept a verdict", owner.review(read_review(request), now)._asdict()


def _keep(owner: StoreOwner, request: Any, now: int) -> tuple[str, dict[str, Any]]:
    run = read_run(request)
    return "kept a gate's run", {"run_id": owner.keep(run, now), "results": len(run.results)}


def _split(owner: StoreOwner, request: Any, now: int) -> tuple[str, dict[str, Any]]:
    return "split a cluster", owner.split(read_split(request), now)._asdict()


def _merge(owner: StoreOwner, request: Any, now: int) -> tuple[str, dict[str, Any]]:
    return "merged two clusters", owner.merge(read_merge(request), now)._asdict()


def _undo(owner: StoreOwner, request: Any, now: int) -> tuple[str, dict[str, Any]]:
    return "took something back", owner.undo(read_undo(request), now)._asdict()


DONE: dict[str | None, Callable[[StoreOwner, Any, int], tuple[str, dict[str, Any]]]] = {
    "freeze": _freeze,
    "review": _review,
    "keep": _keep,
    "split": _split,
    "merge": _merge,
    "undo": _undo,
}
"""By the request's only key; another one is a request to forget, or none."""
