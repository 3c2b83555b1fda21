"""One JSON body to one configured address: what its answer, or the lack of one, means."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from sinks.base import Delivered, NotSent, Outcome, Ref, Rejected, RetryAfter, Unknown

SECONDS = 5.0
DEFAULT_PAUSE_SECONDS = 30.0


async def post_json(
    url: str, body: bytes, headers: Mapping[str, str], where: str, seconds: float = SECONDS
) -> Outcome:
    """``body`` to ``url`` and nowhere else: a redirect is a refusal, proxies of the environment are not used.

    A word such as ``http_500`` says why it failed; addresses can hold secrets and are never told.
    """
    timeout = aiohttp.ClientTimeout(total=seconds)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.post(
                url, data=body, headers={"Content-Type": "application/json", **headers}, allow_redirects=False
            ) as answer,
        ):
            return _outcome(answer.status, answer.headers.get("Retry-After"), where)
    except aiohttp.ClientConnectorError:
        return NotSent("no connection")
    except TimeoutError:
        return Unknown("timeout")
    except (aiohttp.ClientError, OSError) as error:
        return Unknown(type(error).__name__)


def _outcome(status: int, retry_after: str | None, where: str) -> Outcome:
    if 200 <= status < 300:
        return Delivered(Ref(where, ""))
    if status == 429:
        seconds = float(retry_after) if retry_after and retry_after.isdecimal() else DEFAULT_PAUSE_SECONDS
        return RetryAfter(seconds)
    return Unknown(f"http_{status}") if status >= 500 else Rejected(f"http_{status}")
