"""Shoots docs/screenshots/: the demo's incidents on the fake Slack's page, as a desk and a phone show them.

    make screenshots

Runs the demo, then headless Chromium on the page that it leaves; nothing is retouched. Chromium is looked for
as ``chromium``, ``chromium-browser`` or ``google-chrome`` (Debian: ``apt-get install chromium``). Pillow, if
it is there, makes the files smaller: 128 colours are enough for text.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from streams.demo.show import run_demo

FOLDER = Path(__file__).with_name("screenshots")
NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDTHS = {"desk": (840, 1), "phone": (390, 1)}
"""Width in CSS pixels, and device pixels to one of them."""
TALLEST = 2_400
LIMIT = 150_000
"""Bytes that a picture may have: the README is read over slow lines, too."""
ONLY = "<style>main>article:not(:nth-of-type({place})){{display:none}}</style>"
INCIDENTS = {
    "support-bot": "silent-update",
    "contract-extractor": "long-documents",
    "policy-bot": "stale-index",
}
"""By application, whose name is in the message's title: in which order they come is the week's affair."""
TITLE = re.compile(r"<h3>(.*?)</h3>")


def main() -> int:
    browser = next((found for name in NAMES if (found := shutil.which(name))), None)
    if browser is None:
        print("make_screenshots: no Chromium here: apt-get install chromium", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as made:
        home = Path(made) / "demo"
        if status := run_demo(as_json=False, keep=home):
            return status
        FOLDER.mkdir(exist_ok=True)
        html = (home / "slack.html").read_text(encoding="utf-8")
        titles = TITLE.findall(html)
        for place, title in enumerate(titles, 1):
            name = next(name for app, name in INCIDENTS.items() if app in title)
            page = Path(made) / f"{name}.html"
            page.write_text(html.replace("</style>", f"</style>{ONLY.format(place=place)}", 1), "utf-8")
            for device, (width, scale) in WIDTHS.items():
                target = FOLDER / f"{name}-{device}.png"
                _shoot(browser, page, target, width, scale, Path(made) / "profile")
                print(f"{target}: {target.stat().st_size:,} bytes")
                if target.stat().st_size > LIMIT:
                    print(f"{target}: more than {LIMIT:,} bytes", file=sys.stderr)
                    return 1
        if len(titles) != len(INCIDENTS):
            print(f"make_screenshots: {len(titles)} incidents, not {len(INCIDENTS)}", file=sys.stderr)
            return 1
    return 0


def _shoot(browser: str, page: Path, target: Path, width: int, scale: int, profile: Path) -> None:
    arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
        f"--force-device-scale-factor={scale}",
        f"--window-size={width},{TALLEST}",
        f"--screenshot={target}",
        page.as_uri(),
    ]
    subprocess.run([browser, *arguments], check=True, capture_output=True, timeout=120)
    _trim(target)


def _trim(target: Path) -> None:
    """Cuts off the empty rest of the window, and keeps 128 colours."""
    try:
        from PIL import Image, ImageChops
    except ImportError:
        return
    with Image.open(target) as shot:
        picture = shot.convert("RGB")
    empty = Image.new("RGB", picture.size, picture.getpixel((picture.width - 1, picture.height - 1)))
    box = ImageChops.difference(picture, empty).getbbox()
    if box is not None:
        picture = picture.crop((0, 0, picture.width, min(box[3] + 16, picture.height)))
    picture.quantize(128).save(target, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
