"""What a request cost: by hand, by history, by the library; and what is unknown is never zero."""

from __future__ import annotations

from random import Random

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot

from schemas.base import EPOCH, MILLISECOND, parse_time
from schemas.observation import PriceStatus
from schemas.trace import TraceEvent
from streams.steps.prices import Prices

NOW = parse_time("2026-03-02T08:00:00Z")


def cost(fields: dict[str, object], time: int = NOW) -> tuple[float | None, PriceStatus]:
    return Prices().of(TraceEvent.model_validate({"trace_id": "t"} | fields), time)


@pytest.mark.parametrize(
    ("fields", "dollars"),
    [
        # 2.50 in, 10.00 out, 1.25 read from the cache, each per million
        ({"model": "gpt-4o", "input_tokens": 1_000, "output_tokens": 100}, 0.0035),
        ({"model": "gpt-4o", "input_tokens": 1_000, "output_tokens": 100, "cache_read_tokens": 200}, 0.00325),
        # 3.00 in, 15.00 out, 0.30 read, 3.75 written: 2,000 + 6,000 + 2,000 tokens in, 500 out
        (
            {
                "provider": "anthropic",
                "model": "claude-sonnet-4-5",
                "input_tokens": 10_000,
                "cache_read_tokens": 6_000,
                "cache_write_tokens": 2_000,
                "output_tokens": 500,
            },
            0.0228,
        ),
        # beyond 200,000 tokens 6.00 in, 22.50 out
        ({"model": "claude-sonnet-4-5", "input_tokens": 300_000, "output_tokens": 1_000}, 1.8225),
        ({"model": "gpt-4o", "input_tokens": 0, "output_tokens": 0}, 0.0),
        # reasoning is part of the output
        (
            {"model": "gpt-4o", "input_tokens": 1_000, "output_tokens": 100, "reasoning_tokens": 80},
            0.0035,
        ),
        # 1.00 in, 1.00 out, and 0.012 for the request itself
        ({"provider": "perplexity", "model": "sonar", "input_tokens": 5_000, "output_tokens": 10}, 0.01701),
        # what was served counts, not what was requested
        (
            {"model": "gpt-4o", "served_model": "gpt-4o-mini", "input_tokens": 10**6, "output_tokens": 0},
            0.15,
        ),
        # and where what was served is unknown, what was requested
        (
            {"model": "gpt-4o", "served_model": "internal-7", "input_tokens": 10**6, "output_tokens": 0},
            2.5,
        ),
    ],
)
def test_by_hand(fields: dict[str, object], dollars: float) -> None:
    found, status = cost(fields)
    assert found == pytest.approx(dollars, rel=1e-12)
    assert status is PriceStatus.PRICED


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, PriceStatus.NO_USAGE),
        ({"model": "gpt-4o"}, PriceStatus.NO_USAGE),
        ({"model": "gpt-4o", "input_tokens": 5}, PriceStatus.PARTIAL_USAGE),
        ({"model": "gpt-4o", "output_tokens": 5}, PriceStatus.PARTIAL_USAGE),
        ({"input_tokens": 5, "output_tokens": 5}, PriceStatus.NO_MODEL),
        ({"model": "internal-7", "input_tokens": 5, "output_tokens": 5}, PriceStatus.UNKNOWN_MODEL),
        ({"model": "", "input_tokens": 5, "output_tokens": 5}, PriceStatus.UNKNOWN_MODEL),
        (
            {"provider": "nobody", "model": "gpt-4o", "input_tokens": 5, "output_tokens": 5},
            PriceStatus.UNKNOWN_MODEL,
        ),
        (
            {"model": "gpt-4o", "input_tokens": 5, "output_tokens": 5, "cache_read_tokens": 6},
            PriceStatus.TOKEN_CONFLICT,
        ),
        (
            {
                "model": "gpt-4o",
                "input_tokens": 5,
                "output_tokens": 5,
                "cache_read_tokens": 3,
                "cache_write_tokens": 3,
            },
            PriceStatus.TOKEN_CONFLICT,
        ),
    ],
)
def test_what_has_no_price_says_why_and_takes_the_applications_own(
    fields: dict[str, object], status: PriceStatus
) -> None:
    assert cost(fields) == (None, status)
    assert cost(fields | {"cost_usd": 0.5}) == (0.5, PriceStatus.REPORTED)


def test_our_price_comes_before_the_applications() -> None:
    fields = {"model": "gpt-4o", "input_tokens": 10**6, "output_tokens": 0, "cost_usd": 99.0}
    assert cost(fields) == (2.5, PriceStatus.PRICED)


def test_a_price_is_that_of_the_events_time() -> None:
    """o3 became five times cheaper on 10 June 2025; the same object prices both sides of it."""
    prices = Prices()
    event = TraceEvent(trace_id="t", model="o3", input_tokens=10**6, output_tokens=0)
    for _ in range(2):
        assert prices.of(event, parse_time("2025-06-09T23:59:59Z"))[0] == pytest.approx(10.0)
        assert prices.of(event, parse_time("2025-06-10T00:00:00Z"))[0] == pytest.approx(2.0)


def test_it_is_what_the_library_says_for_every_model_and_any_use() -> None:
    """What is remembered as dollars a token prices any usage as the library does, at any time."""
    rng, prices = Random(3), Prices()
    models = [(provider.id, model.id) for provider in get_snapshot().providers for model in provider.models]
    for provider, model in models:
        tokens = rng.choice((10, 5_000, 150_000, 400_000))
        read, write = rng.choice((0, tokens // 3)), rng.choice((0, tokens // 4))
        out = rng.randrange(10_000)
        time = NOW - rng.randrange(600 * 86_400_000)
        event = TraceEvent(
            trace_id="t",
            provider=provider,
            model=model,
            input_tokens=tokens,
            output_tokens=out,
            cache_read_tokens=read,
            cache_write_tokens=write,
        )
        mine, status = prices.of(event, time)
        usage = Usage(
            input_tokens=tokens, cache_read_tokens=read, cache_write_tokens=write, output_tokens=out
        )
        try:
            theirs = calc_price(
                usage, model, provider_id=provider, genai_request_timestamp=EPOCH + time * MILLISECOND
            )
        except LookupError:
            assert (mine, status) == (None, PriceStatus.UNKNOWN_MODEL)
            continue
        assert mine == pytest.approx(float(theirs.total_price), rel=1e-9), (provider, model)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_the_ends_of_time_have_prices(time: str) -> None:
    fields: dict[str, object] = {"model": "o3", "input_tokens": 1, "output_tokens": 1}
    assert cost(fields, parse_time(time))[1] is PriceStatus.PRICED
