"""Take the picture of docs/explorer.md from a running explorer: `python scripts/explorer_picture.py`."""

from __future__ import annotations

import subprocess
import sys

from pictures import ROOT, browser

PICTURES = ROOT / "docs" / "images"
SHOTS = (("explorer_course.png", "/?preset=kap_six_sessions", "#endpoints table", 1280, 1700),)


def main() -> int:
    from playwright.sync_api import sync_playwright

    process = subprocess.Popen(
        [sys.executable, "-m", "kapsim", "serve", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[2].rstrip("/")
        with sync_playwright() as driver:
            opened = driver.chromium.launch(executable_path=browser(), args=["--no-sandbox", "--disable-gpu"])
            for name, path, shown, width, height in SHOTS:
                page = opened.new_page(viewport={"width": width, "height": height})
                page.goto(address + path)
                page.wait_for_selector(shown, timeout=240_000)
                page.wait_for_timeout(1500)
                page.screenshot(path=PICTURES / name, timeout=120_000)
                print(f"docs/images/{name}: {(PICTURES / name).stat().st_size // 1024} KB")
            opened.close()
    finally:
        process.terminate()
        process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
