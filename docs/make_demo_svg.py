"""Draws docs/demo.svg: runs the demo, and keeps what a terminal would have shown of it.

    make readme-svg

Shown are the first of the messages, the signals, the dashboards and the count; nothing is retouched.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from streams.demo.show import run_demo
from streams.demo.slack_view import WIDTH

TARGET = Path(__file__).with_name("demo.svg")
FONT_FACES = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)
"""The picture loads nothing from anywhere: the reader's own monospaced font will do."""


def main() -> int:
    console = Console(
        record=True,
        width=WIDTH,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
    )
    console.print(Text("$ gleaner demo", style="bold"))
    status = run_demo(as_json=False, keep=None, console=console)
    if status == 0:
        style = FONT_FACES.sub("", CONSOLE_SVG_FORMAT).replace("Fira Code", "ui-monospace, Menlo, Consolas")
        console.save_svg(str(TARGET), title="gleaner demo", code_format=style, unique_id="gleaner-demo")
        print(f"{TARGET}: drawn")
    return status


if __name__ == "__main__":
    sys.exit(main())
