"""What a request cost: at event time, from genai-prices; unknown is NULL with a reason, never zero."""

from __future__ import annotations

from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from genai_prices import Usage, calc_price
from genai_prices.types import ModelPrice, TieredPrices

from schemas.base import EPOCH, MILLISECOND
from schemas.observation import PriceStatus
from schemas.trace import TraceEvent

EPOCH_OF_PRICES_MS = 900_000
"""Dated and off-peak prices begin on quarters of an hour, so a looked-up price holds for one quarter."""
REMEMBERED = 4096
"""Prices remembered before the memory is emptied: models times quarters of an hour in flight."""
MILLION = 1_000_000
_PRICED = itemgetter(
    "input_tokens",
    "output_tokens",
    "served_model",
    "model",
    "provider",
    "cache_read_tokens",
    "cache_write_tokens",
    "cost_usd",
)
"""The fields of a trace that its price is made of, read at once."""


class Rates(NamedTuple):
    """US dollars per token of each exclusive bucket. ``exact`` False: ask the library each time."""

    input: float
    cache_read: float
    cache_write: float
    output: float
    exact: bool
    timeless: bool


_UNKNOWN = Rates(0, 0, 0, 0, False, False)
"""Stands for what has not been looked up yet; None is a model that the library does not know."""


class Prices:
    """Prices requests; remembers what it looked up, which changes no answer, only the time it takes.

    The bundled price list is the library's of its release; a model that it does not know costs NULL,
    and a request before a model's first known price takes that first price.
    """

    def __init__(self) -> None:
        self._rates: dict[tuple[str | None, str, int], Rates | None] = {}

    def of(self, event: TraceEvent, time: int) -> tuple[float | None, PriceStatus]:
        """Cost in US dollars and how it came about; ``time`` is the event's, in epoch milliseconds."""
        status = PriceStatus.NO_MODEL
        tokens_in, tokens_out, served, requested, provider, read, write, reported = _PRICED(event.__dict__)
        if tokens_in is None and tokens_out is None:
            status = PriceStatus.NO_USAGE
        elif tokens_in is None or tokens_out is None:
            status = PriceStatus.PARTIAL_USAGE
        elif served is not None or requested is not None:
            read, write = read or 0, write or 0
            if read + write > tokens_in:
                status = PriceStatus.TOKEN_CONFLICT
            else:
                rates = self._lookup(provider, served, time) if served else None
                model = served
                if rates is None and requested and requested != served:
                    rates, model = self._lookup(provider, requested, time), requested
                if rates is not None and rates.exact:
                    cost = (
                        (tokens_in - read - write) * rates.input
                        + read * rates.cache_read
                        + write * rates.cache_write
                        + tokens_out * rates.output
                    )
                    return cost, PriceStatus.PRICED
                if rates is not None and model is not None:
                    usage = Usage(
                        input_tokens=tokens_in,
                        cache_read_tokens=read,
                        cache_write_tokens=write,
                        output_tokens=tokens_out,
                    )
                    return _ask(usage, provider, model, time), PriceStatus.PRICED
                status = PriceStatus.UNKNOWN_MODEL
        if reported is not None:
            return reported, PriceStatus.REPORTED
        return None, status

    def _lookup(self, provider: str | None, model: str, time: int) -> Rates | None:
        known = self._rates
        timeless = (provider, model, -1)
        rates = known.get(timeless, _UNKNOWN)
        if rates is not _UNKNOWN:
            return rates
        key = (provider, model, time // EPOCH_OF_PRICES_MS)
        if key in known:
            return known[key]
        if len(known) >= REMEMBERED:
            known.clear()
        rates = _rates(provider, model, time)
        known[timeless if rates is None or rates.timeless else key] = rates
        return rates


def _moment(time: int) -> datetime:
    return EPOCH + time * MILLISECOND


def _ask(usage: Usage, provider: str | None, model: str, time: int) -> float:
    result = calc_price(usage, model, provider_id=provider, genai_request_timestamp=_moment(time))
    return float(result.total_price)


def _rates(provider: str | None, model: str, time: int) -> Rates | None:
    """Ask the library for a million tokens of each bucket; None where it knows no such model."""
    try:
        found = calc_price(
            Usage(input_tokens=MILLION, output_tokens=0),
            model,
            provider_id=provider,
            genai_request_timestamp=_moment(time),
        )
    except LookupError:
        return None
    tiered = any(isinstance(price, TieredPrices) for price in vars(found.model_price).values())
    # Some providers also charge for the request itself, which no rate per token can say.
    per_request = _ask(Usage(input_tokens=0, output_tokens=0), provider, model, time) > 0
    timeless = isinstance(found.model.prices, ModelPrice)
    if tiered or per_request:
        return Rates(0, 0, 0, 0, False, timeless)
    plain = float(found.total_price) / MILLION

    def rate(usage: Usage) -> float:
        return _ask(usage, provider, model, time) / MILLION

    return Rates(
        plain,
        rate(Usage(input_tokens=MILLION, cache_read_tokens=MILLION, output_tokens=0)),
        rate(Usage(input_tokens=MILLION, cache_write_tokens=MILLION, output_tokens=0)),
        rate(Usage(input_tokens=0, output_tokens=MILLION)),
        True,
        timeless,
    )
