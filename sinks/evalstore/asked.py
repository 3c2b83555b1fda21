"""What a store's owner can be asked to do: by the command that became it, or by way of ``requests``."""

from __future__ import annotations

from typing import Any

from sinks.evalstore.forget import read_forget
from sinks.evalstore.owner import StoreOwner
from sinks.evalstore.releases.freezing import read_freeze
from sinks.evalstore.releases.kept import read_run
from sinks.evalstore.releases.reviews import read_review


def perform(owner: StoreOwner, request: Any, now: int) -> tuple[str, dict[str, Any]]:
    """What was done, in a word, and the answer; ``now`` in epoch ms.

    Readers see it once this returns. Raises ``ValueError`` where the request cannot be read, ``BadRequest``
    where it is refused.
    """
    kind = next(iter(request), None) if isinstance(request, dict) and len(request) == 1 else None
    if kind == "freeze":
        frozen = owner.freeze(read_freeze(request), now)
        owner.publish(now)
        return "froze a release", frozen._asdict()
    if kind == "review":
        cases = owner.review(read_review(request), now)
        owner.publish(now)
        return "kept a verdict", {"cases": cases}
    if kind == "keep":
        run = read_run(request)
        run_id = owner.keep(run, now)
        owner.publish(now)
        return "kept a gate's run", {"run_id": run_id, "results": len(run.results)}
    return "forgot", owner.forget(read_forget(request), now)._asdict()
