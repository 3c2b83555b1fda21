"""The fake Slack refuses what Slack refuses, and the sink reads its answers rightly."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError

from schemas.effect import EffectKind, NotifyReason
from sinks.base import (
    Absent,
    Blind,
    Degradable,
    Degrade,
    Delivered,
    LostRoot,
    Message,
    NotSent,
    Ref,
    Rejected,
    RetryAfter,
    Unknown,
)
from sinks.samples import SAMPLES
from sinks.slack.client import SlackSink
from sinks.slack.sandbox import CHANNEL, TOKEN, Sandbox
from sinks.slack.sandbox_channel import Refusal
from sinks.slack.upload import Uploaded, Uploads

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8) + (4).to_bytes(4) + (3).to_bytes(4) + b"rest"

POST = Message("outbox-1", EffectKind.POST, NotifyReason.FIRST, SAMPLES["faithfulness"])
EDIT = Message("outbox-1", EffectKind.EDIT, NotifyReason.GREW, SAMPLES["faithfulness"])
MEMBER = SAMPLES["faithfulness"].members[1].signal_id
REPLY = Message("outbox-2", EffectKind.REPLY, NotifyReason.GREW, SAMPLES["faithfulness"], MEMBER)


@pytest.fixture
async def slack() -> AsyncIterator[Sandbox]:
    async with Sandbox() as sandbox:
        yield sandbox


def sink(slack: Sandbox, token: str = TOKEN, channel: str = CHANNEL, timeout: int = 60) -> SlackSink:
    return SlackSink(token, channel, slack.url, timeout)


async def test_post_edit_reply_find(slack: Sandbox) -> None:
    client = sink(slack)
    posted = await client.post(POST)
    assert isinstance(posted, Delivered)
    assert isinstance(await client.edit(EDIT, posted.ref), Delivered)
    replied = await client.reply(REPLY, posted.ref)
    assert isinstance(replied, Delivered)
    assert await client.find("outbox-1", 0, None) == posted
    assert await client.find("outbox-2", 0, posted.ref) == replied
    assert await client.find("outbox-3", 0, None) == Absent()
    (root,) = slack.roots()
    assert root.edits == 1
    assert len(slack.channel.replies(root.ts)) == 1
    assert slack.pings() == []
    posts = [body for method, body in slack.calls if method == "chat.postMessage"]
    assert all(body["unfurl_links"] is False and "link_names" not in body for body in posts)


async def test_find_pages_through_a_busy_channel(slack: Sandbox) -> None:
    client = sink(slack)
    posted = await client.post(POST)
    for _ in range(40):
        slack.channel.post({"text": "noise"}, slack.clock())
    assert await client.find("outbox-1", 0, None) == posted
    reads = [body for method, body in slack.calls if method == "conversations.history"]
    assert len(reads) == 3
    assert all(body["include_all_metadata"] in ("1", "true") for body in reads)


@pytest.mark.parametrize(
    ("fault", "outcome", "messages"),
    [
        ("429:7", RetryAfter(7.0), 0),
        ("500", Unknown("http_500"), 0),
        ("500-accepted", Unknown("http_500"), 1),
        ("drop-accepted", Unknown("ServerDisconnectedError"), 1),
        ("drop", Unknown("ServerDisconnectedError"), 0),
        ("slow:3", Unknown("timeout"), 1),
        ("error:fatal_error", Unknown("fatal_error"), 0),
        ("error:who_knows", Unknown("who_knows", strange=True), 0),
        ("error:invalid_blocks_format", Degradable("invalid_blocks_format"), 0),
        ("error:token_revoked", Rejected("token_revoked"), 0),
        ("error:message_not_found", LostRoot("message_not_found"), 0),
    ],
)
async def test_faults_are_outcomes(slack: Sandbox, fault: str, outcome: object, messages: int) -> None:
    slack.script(fault)
    assert await sink(slack, timeout=1 if fault.startswith("slow") else 60).post(POST) == outcome
    assert len(slack.roots()) == messages


async def test_who_may_not_post(slack: Sandbox) -> None:
    assert await sink(slack, token="xoxb-wrong").post(POST) == Rejected("invalid_auth")
    assert await sink(slack, channel="C2").post(POST) == Rejected("channel_not_found")
    slack.channel.archived = True
    assert await sink(slack).post(POST) == Rejected("is_archived")
    slack.channel.archived, slack.channel.joined = False, False
    assert await sink(slack).post(POST) == Rejected("not_in_channel")


async def test_no_server_is_not_sent(slack: Sandbox) -> None:
    client = sink(slack)
    await slack.stop()
    assert await client.post(POST) == NotSent("no connection")


async def test_reads_that_fail(slack: Sandbox) -> None:
    slack.script_reads("error:missing_scope", "429:9", "500")
    client = sink(slack)
    assert await client.find("x", 0, None) == Blind("missing_scope")
    slack.channel.paused_until = 0
    assert await client.find("x", 0, None) == Absent()
    assert await client.find("x", 0, None) == Unknown("http_500")
    # Without a token nothing can be posted either: whether it arrived is asked again, not guessed.
    slack.script_reads("error:token_revoked", "error:invalid_auth")
    assert await client.find("x", 0, None) == Unknown("token_revoked")
    assert await client.find("x", 0, None) == Unknown("invalid_auth")


async def test_edits_need_a_message_and_threads_a_root(slack: Sandbox) -> None:
    client = sink(slack)
    nowhere = Ref(CHANNEL, "1.000001")
    assert await client.edit(EDIT, nowhere) == LostRoot("message_not_found")
    assert await client.reply(REPLY, nowhere) == LostRoot("thread_not_found")


async def test_text_only_clears_the_blocks(slack: Sandbox) -> None:
    client = sink(slack)
    posted = await client.post(POST)
    assert isinstance(posted, Delivered)
    bare = Message("outbox-1", EffectKind.EDIT, NotifyReason.GREW, POST.incident, None, Degrade.TEXT_ONLY)
    await client.edit(bare, posted.ref)
    assert slack.roots()[0].body["blocks"] == []


async def test_ts_grows_whatever_the_clock_says() -> None:
    async with Sandbox(clock=lambda: 5.0) as slack:
        for _ in range(3):
            await sink(slack).post(POST)
        stamps = [one.ts for one in slack.roots()]
    assert stamps == ["5.000000", "5.000001", "5.000002"]


async def test_the_would_ping_detector_works(slack: Sandbox) -> None:
    slack.channel.post({"text": "<!channel> <!date^1^{date}|x> <@U1>"}, 1.0)
    assert slack.pings() == ["<!channel>", "<@U1>"]


async def test_metadata_is_shown_only_to_whom_asks_for_it(slack: Sandbox) -> None:
    client = sink(slack)
    await client.post(POST)
    for asked, shown in ((True, True), (False, False)):
        answer = await client.client.conversations_history(channel=CHANNEL, include_all_metadata=asked)
        (message,) = answer["messages"]
        assert ("metadata" in message) is shown


async def test_an_edit_without_blocks_leaves_the_old_ones_standing(slack: Sandbox) -> None:
    client = sink(slack)
    posted = await client.post(POST)
    assert isinstance(posted, Delivered)
    before = slack.roots()[0].body["blocks"]
    await client.client.chat_update(channel=CHANNEL, ts=posted.ref.ts, text="only this")
    assert slack.roots()[0].body["blocks"] == before
    await client.client.chat_update(channel=CHANNEL, ts=posted.ref.ts, text="only this", blocks=[])
    assert slack.roots()[0].body["blocks"] == []


async def test_a_channel_takes_so_many_messages_a_second() -> None:
    now = [100.0]
    async with Sandbox(per_second=1.0, clock=lambda: now[0]) as slack:
        client = sink(slack)
        taken = [await client.post(POST) for _ in range(4)]
        assert [isinstance(one, Delivered) for one in taken] == [True, True, True, False]
        assert taken[3] == RetryAfter(1.0)
        now[0] += 1.0
        assert isinstance(await client.post(POST), Delivered)
        assert await client.post(POST) == RetryAfter(1.0)


async def test_files_stand_in_messages_only_when_slack_has_looked_at_them() -> None:
    now = [100.0]
    async with Sandbox(ready_after=5.0, clock=lambda: now[0]) as slack:
        client = sink(slack)
        root = await client.post(POST)
        assert isinstance(root, Delivered)
        uploads = Uploads(client.client)
        uploaded = await uploads.upload(PNG, "chart.png", "what it shows")
        assert isinstance(uploaded, Uploaded)
        assert await uploads.ready(uploaded.file) == Unknown("file_not_found", strange=True)
        assert await uploads.shared(uploaded.file, root.ref) == Absent()
        shown = await uploads.share(uploaded.file, "Chart", "said with it", root.ref)
        assert isinstance(shown, Delivered)
        assert isinstance(await uploads.shared(uploaded.file, root.ref), Delivered)
        image = {"type": "image", "slack_file": {"id": uploaded.file}, "alt_text": "what it shows"}
        body = {"text": "x", "blocks": [image]}
        assert await uploads.ready(uploaded.file) is False
        with pytest.raises(Refusal, match="invalid_blocks"):
            slack.channel.post(body, now[0])
        now[0] += 5.0
        assert await uploads.ready(uploaded.file) is True
        slack.channel.post(body, now[0])
        (reply,) = slack.channel.replies(root.ref.ts)
        assert reply.body["text"] == "said with it"
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{slack.page_url}files/{uploaded.file}") as response,
        ):
            assert await response.read() == PNG
            assert response.content_type == "image/png"


async def test_uploads_that_are_none_are_refused(slack: Sandbox) -> None:
    client = sink(slack)
    uploads = Uploads(client.client)
    begun = await client.client.files_getUploadURLExternal(filename="a.png", length=len(PNG))
    async with aiohttp.ClientSession() as session:
        for data, status in ((b"too short", 400), (PNG, 200), (PNG, 400)):
            async with session.post(str(begun["upload_url"]), data=data) as answer:
                assert answer.status == status
    assert await uploads.share("F0NONE", "t", "c", Ref(CHANNEL, "1.0")) == Unknown(
        "file_not_found", strange=True
    )
    nowhere = await uploads.share(begun["file_id"], "t", "c", Ref(CHANNEL, "1.0"))
    assert nowhere == LostRoot("thread_not_found")
    with pytest.raises(SlackApiError, match="invalid_arguments"):
        await client.client.files_getUploadURLExternal(filename="a.png", length=0)


async def test_what_is_no_slack_call_is_refused(slack: Sandbox) -> None:
    url = slack.url + "chat.postMessage"
    token = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession() as session:

        async def error(**request: object) -> object:
            async with session.post(url, **request) as response:  # type: ignore[arg-type]
                return (await response.json())["error"]

        assert await error(json={"channel": CHANNEL, "text": "x"}) == "not_authed"
        assert await error(headers=token, data="x") == "invalid_form_data"
        assert await error(headers=token, json={"channel": CHANNEL}) == "no_text"
        assert await error(headers=token, json=[1]) == "json_not_object"
        deep = {"event_type": "t", "event_payload": {"a": {"b": 1}}}
        assert await error(headers=token, json={"channel": CHANNEL, "text": "x", "metadata": deep}) == (
            "metadata_must_be_flat"
        )
        async with session.get(slack.page_url) as response:
            assert "script" not in await response.text()
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
