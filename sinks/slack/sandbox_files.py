"""The fake Slack's files: an upload in three calls, and the time that Slack takes to look at a picture."""

from __future__ import annotations

import uuid
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from sinks.slack.sandbox_channel import Refusal

MOST = 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass
class File:
    """``ready_at`` is when Slack has looked at it (epoch seconds); None before its upload is completed."""

    id: str
    name: str
    length: int
    alt: str = ""
    title: str = ""
    data: bytes = b""
    ready_at: float | None = None


class Files:
    """Files by id; ``ready_after`` seconds pass between the end of an upload and the file being of use."""

    def __init__(self, ready_after: float = 0.0) -> None:
        self.ready_after = ready_after
        self.files: dict[str, File] = {}
        self.tickets: dict[str, File] = {}

    def begin(self, body: dict[str, Any], address: str) -> dict[str, Any]:
        """Where the bytes go: a URL that takes them once."""
        name, length = str(body.get("filename", "")), str(body.get("length", ""))
        if not name or not length.isdecimal() or not 0 < int(length) <= MOST:
            raise Refusal("invalid_arguments", [f"filename {name!r}, length {length!r}"])
        file = File(f"F0{uuid.uuid4().hex[:9].upper()}", name, int(length), str(body.get("alt_txt", "")))
        ticket = uuid.uuid4().hex
        self.files[file.id] = self.tickets[ticket] = file
        return {"upload_url": f"{address}upload/{ticket}", "file_id": file.id}

    def receive(self, ticket: str, data: bytes) -> bool:
        """Whether the bytes are those that were announced."""
        file = self.tickets.get(ticket)
        if file is None or len(data) != file.length:
            return False
        file.data = data
        del self.tickets[ticket]
        return True

    def complete(self, listed: Any, now: float) -> list[File]:
        """The files of an upload that has come to its end; Slack begins to look at them."""
        if not isinstance(listed, list) or not listed:
            raise Refusal("invalid_arguments", ["files: is a list of {id, title}"])
        found = []
        for one in listed:
            file = self.files.get(str(one.get("id")))
            if file is None or not file.data:
                raise Refusal("file_not_found")
            file.title = str(one.get("title", ""))
            file.ready_at = now + self.ready_after
            found.append(file)
        return found

    def info(self, file_id: object, now: float) -> dict[str, Any]:
        """What is known of a file: its type and size only once Slack has looked at it."""
        file = self.files.get(str(file_id))
        if file is None or file.ready_at is None:
            raise Refusal("file_not_found")
        seen: dict[str, Any] = {"id": file.id, "name": file.name, "title": file.title, "size": file.length}
        if self.ready(file.id, now):
            width, height = int.from_bytes(file.data[16:20]), int.from_bytes(file.data[20:24])
            seen |= {"mimetype": "image/png", "original_w": width, "original_h": height}
        return {"file": seen}

    def embedded(self) -> dict[str, str]:
        """By id the pictures as data, for a page without a server."""
        return {
            file.id: f"data:image/png;base64,{b64encode(file.data).decode()}"
            for file in self.files.values()
            if file.data.startswith(PNG)
        }

    def ready(self, file_id: str, now: float) -> bool:
        """Whether the file may stand in a block: complete, looked at, and a picture."""
        file = self.files.get(file_id)
        return (
            file is not None
            and file.ready_at is not None
            and now >= file.ready_at
            and file.data.startswith(PNG)
        )
