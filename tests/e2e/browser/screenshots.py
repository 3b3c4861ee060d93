# SPDX-License-Identifier: Apache-2.0
"""Pictures of the console's screens for the documents, of what the demonstration has: `scripts/screenshots` runs it."""

import io
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.e2e.browser.conftest import CHROMIUM
from tests.e2e.browser.desks import PAGES, ServedDesk, furnish
from tests.e2e.browser.looking import View, open_page
from tests.worlds import World

WIDE = View(width=1280, height=800, scheme="light", scripts=True)
NARROW = View(width=390, height=844, scheme="light", scripts=True)
TITLE = "Exchange of letters on the Ashfall Column"
COLOURS = 64
REPORT = "report--bf634aa0-28a7-5388-8ebd-31b6b63f8fb6"


def take_all(browser: Browser, desk: ServedDesk, folder: Path) -> None:
    """Write every picture, as wide as a screen; and one page as a telephone shows it."""
    folder.mkdir(parents=True, exist_ok=True)
    with open_page(browser, desk.url, WIDE) as look:
        look.go("/sign-in")
        write_picture(look.page.screenshot(), folder / "console-sign-in.png")
    for name, address, view in list_pictures(desk):
        with open_page(browser, desk.url, view, cookies=desk.cookies) as look:
            assert look.go(address).ok, address
            write_picture(look.page.screenshot(), folder / f"console-{name}.png")


def write_picture(data: bytes, path: Path) -> None:
    """The picture in few colours, which is all that a page of text needs."""
    Image.open(io.BytesIO(data)).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def list_pictures(desk: ServedDesk) -> list[tuple[str, str, View]]:
    """Name, address and view of each."""
    agreement = desk.find_link("/agreements", r"/agreements/[0-9a-f]{64}", shown=TITLE)
    disclosure = desk.find_link("/log?" + urlencode({"q": "kind:disclosure"}), r"/log/\d+")
    return [
        ("work", "/", WIDE),
        ("work-narrow", "/", NARROW),
        ("agreements", "/agreements", WIDE),
        ("agreement", agreement, WIDE),
        ("preview", f"{agreement}/preview", WIDE),
        ("difference", desk.find("/agreements/{id}/diff")[0], WIDE),
        *([("matrix", "/matrix", WIDE)] if "/matrix" in PAGES else []),
        ("objects", "/objects", WIDE),
        ("object", f"/objects/{REPORT}", WIDE),
        ("explain", "/explain?" + urlencode({"object": REPORT, "to": "borealia"}), WIDE),
        ("log", "/log", WIDE),
        ("entry", f"{disclosure}?verify=1#verified", WIDE),
        ("node", "/node", WIDE),
        ("intake", "/intake", WIDE),
        ("saying", f"/objects/{REPORT}/say?{urlencode({'regions': 'IQ', 'kinds': 'arms'})}#effects", WIDE),
        ("necessity", "/necessity", WIDE),
        ("requests", "/requests", WIDE),
        ("article", "/articles/1/text", WIDE),
        ("retention", "/retention", WIDE),
        ("lists", "/lists", WIDE),
        ("assessments", "/assessments", WIDE),
    ]


def main() -> None:
    """Write the pictures into the folder that the first argument names."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        world.found("aurelia", "borealia", "meridia")
        with ServedDesk.start(world, "aurelia", furnish(world)) as desk, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, chromium_sandbox=False, args=["--disable-lcd-text"]
            )
            take_all(browser, desk, Path(sys.argv[1]))
            browser.close()
        world.close()


if __name__ == "__main__":
    main()
