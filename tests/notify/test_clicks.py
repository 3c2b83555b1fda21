"""A click in Slack, through Kafka and the reducer, back into the message: the whole way."""

from __future__ import annotations

import socket
import uuid
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from schemas.command import Verb
from schemas.topics import CASE_PREVIEWS, CHANGES, COMMANDS, INCIDENTS, SIGNALS
from sinks.batch import Asked, Batch
from sinks.outbox import Outbox
from sinks.slack.buttons import Press
from sinks.slack.http import PATH
from sinks.slack.sandbox import APP_TOKEN, CHANNEL, TOKEN, Sandbox
from sinks.slack.sandbox_clicks import YOU
from streams.notify.clicks import answer_of
from streams.notify.sink import sink_of
from streams.settings import Settings
from streams.topics import ensure_topics
from tests.incident.signals import T0, alarm, command
from tests.notify.test_role import produce, running, until

SECRET = "a-signing-secret"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.kafka
@pytest.mark.parametrize("way", ["socket", "http"])
async def test_from_the_button_to_the_message(kafka: str, tmp_path: Path, way: str) -> None:
    async with Sandbox() as slack:
        settings = Settings(
            brokers=kafka,
            topic_prefix=f"clicks-{uuid.uuid4().hex[:8]}-",
            partitions=1,
            state_dir=tmp_path,
            group_wait_seconds=0,
            slack_token=SecretStr(TOKEN),
            slack_channel=CHANNEL,
            slack_url=slack.url,
            slack_app_token=SecretStr(APP_TOKEN if way == "socket" else ""),
            slack_signing_secret=SecretStr(SECRET),
            slack_http=f"127.0.0.1:{free_port()}" if way == "http" else "",
        )
        if way == "http":
            slack.clicks.interactivity = (f"http://{settings.slack_http}{PATH}", SECRET)
        await ensure_topics(settings, (SIGNALS, CASE_PREVIEWS, COMMANDS, CHANGES, INCIDENTS))
        await produce(kafka, settings, (SIGNALS, "support-bot", alarm("s1")))
        slack.clicks.again = 1
        async with running(settings):
            await until(lambda: slack.roots() and (way == "http" or slack.clicks.sockets))
            (root,) = slack.roots()
            assert await slack.clicks.click(slack.channel, root.ts, Press.ACK.value)
            await until(lambda: "ACKED by u0you" in str(root.body["blocks"]))
            assert Press.ACK.value not in str(root.body["blocks"])
            # Two clicks before the message can show the first: the second comes too late, and is told so.
            assert await slack.clicks.click(slack.channel, root.ts, Press.NOT_A_PROBLEM.value)
            assert await slack.clicks.click(slack.channel, root.ts, Press.ASSIGN.value)
            await until(lambda: slack.channel.whispers)
            await until(lambda: "NOT A PROBLEM, says u0you" in str(root.body["blocks"]))
        assert slack.channel.whispers == [(YOU, "It is resolved already (P2 · NOT A PROBLEM, says u0you)")]
        assert slack.pings() == []
        assert len(slack.roots()) == 1
        assert slack.channel.replies(root.ts) == [], "a person's own doing notifies nobody"


def test_a_verdict_in_words(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "notify.sqlite")
    asked = command("c", Verb.ACK, "nobody", T0)
    assert answer_of(outbox, asked) is None
    outbox.commit(Batch(commands=[Asked(asked, "unknown_incident", False)]), T0)
    answer = answer_of(outbox, asked)
    assert answer is not None
    assert (answer.done, answer.words) == (False, "Notify knows no such incident")
    outbox.close()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"slack_http": "127.0.0.1:8765"}, "needs GLEANER_SLACK_SIGNING_SECRET"),
        ({"slack_http": "8765", "slack_signing_secret": SecretStr("x")}, "is host:port"),
        ({"slack_http": "h:99999", "slack_signing_secret": SecretStr("x")}, "is host:port"),
        ({"slack_actors": "dana"}, "neither a user id"),
        ({"incident_url": "https://gleaner.example/"}, r"with \{id\} in it"),
        ({"incident_url": "javascript:alert({id})"}, "http"),
        ({"incident_url": "https://x/{id}|<!here>"}, "no address has"),
        ({"trace_url": "https://traces.example/{id}"}, r"with \{trace_id\} in it"),
    ],
)
def test_a_wrong_setting_is_named(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        Settings(**wrong)  # type: ignore[arg-type]
    assert caught.value.errors()[0]["loc"] == (next(iter(wrong)),)


async def test_buttons_only_where_somebody_listens(tmp_path: Path) -> None:
    base = {"state_dir": tmp_path, "slack_token": SecretStr(TOKEN), "slack_channel": CHANNEL}
    listens = {"slack_app_token": SecretStr(APP_TOKEN)}
    assert getattr(sink_of(Settings(**base)), "offer").clicks is False  # type: ignore[arg-type]  # noqa: B009
    assert getattr(sink_of(Settings(**base, **listens)), "offer").clicks is True  # type: ignore[arg-type]  # noqa: B009
