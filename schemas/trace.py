"""One answer of an LLM application, as the application publishes it."""

from __future__ import annotations

from typing import Annotated, Any

from schemas.base import Amount, Count, EventTime, Id, Lax, Name, Number, Value


class Context(Value):
    """One retrieved passage. ``score`` is the retriever's own, on the retriever's own scale."""

    id: Name | None = None
    text: str | None = None
    score: Number | None = None


class TraceEvent(Value):
    """A trace: only ``trace_id`` is required; every further field switches on a further signal.

    ``None`` means that the application did not say, which is never the same as zero: tokens that are
    absent give no cost, contexts that are absent give no faithfulness. Tokens are inclusive, as in
    OpenTelemetry: ``input_tokens`` contains the cache reads and writes, ``output_tokens`` the
    reasoning. Times are epoch milliseconds; durations are in milliseconds; money is in US dollars.
    Fields not listed are kept and travel with the case. A missing ``timestamp`` is the broker's time
    of the record; a missing ``app``, ``environment`` or ``route`` is ``"default"``. The
    route ``*`` is called ``\\*``: ``*`` is what routes of little traffic are watched as, together.

    Misleads when a gateway fills ``served_model`` with the requested name: a silent model update is
    then visible only in the scores.
    """

    trace_id: Id
    timestamp: EventTime | None = None
    app: Id | None = None
    environment: Id | None = None
    route: Id | None = None
    conversation_id: Id | None = None
    user_id: Id | None = None
    release: Name | None = None
    provider: Name | None = None
    model: Name | None = None
    served_model: Name | None = None
    prompt_version: Name | None = None
    system_prompt_version: Name | None = None
    index_version: Name | None = None
    versions: dict[str, Name] | None = None
    question: str | None = None
    messages: Annotated[tuple[dict[str, Any], ...], Lax] | None = None
    answer: str | None = None
    contexts: Annotated[tuple[str | Context, ...], Lax] | None = None
    retrieved_docs: Annotated[tuple[Any, ...], Lax] | None = None
    citations: Annotated[tuple[Any, ...], Lax] | None = None
    parameters: dict[str, Any] | None = None
    tool_calls: Annotated[tuple[dict[str, Any], ...], Lax] | None = None
    finish_reason: Name | None = None
    schema_valid: bool | None = None
    policy_result: Name | None = None
    refused: bool | None = None
    error: str | bool | dict[str, Any] | None = None
    retries: Count | None = None
    fallback: bool | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    cost_usd: Amount | None = None
    latency_ms: Amount | None = None
    time_to_first_token_ms: Amount | None = None
    success: bool | None = None
    scores: dict[str, Number] | None = None
    user_rating: Number | None = None
    tags: dict[str, Any] | None = None

    def context_texts(self) -> list[str]:
        """The passages as text, in the order of retrieval; a passage without text is left out.

        >>> TraceEvent(trace_id="t", contexts=("a", Context(text="b"), Context(id="2"))).context_texts()
        ['a', 'b']
        """
        texts = (c if isinstance(c, str) else c.text for c in self.contexts or ())
        return [text for text in texts if text is not None]
