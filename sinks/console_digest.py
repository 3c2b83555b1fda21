"""A digest on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from schemas.digest import Digest
from sinks.base import Blind, Delivered, Found, Outcome, Ref
from sinks.digest_words import headline, sections


def print_digest(digest: Digest, console: Console) -> None:
    """Section by section. Foreign text is ``Text``, never rich's markup, and has lost its controls."""
    console.print(Text(headline(digest), style="bold"))
    for heading, lines in sections(digest):
        console.print(Text(f"\n{heading}", style="bold"))
        for line in lines:
            console.print(Text(f"• {line}"))


class ConsoleDigests:
    """Prints digests; what was printed can't be found again."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()

    async def post_digest(self, digest: Digest, *, text_only: bool) -> Outcome:
        print_digest(digest, self.console)
        return Delivered(Ref("console", digest.id))

    async def find_digest(self, digest_id: str, since: int) -> Found:
        return Blind("a console remembers nothing")
