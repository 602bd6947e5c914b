"""Time the explorer: ready, first paint, slider to plot for one person, twenty people at once, and the server's memory.

One person is a headless Chromium whose dose slider is moved by the keyboard: from the key to the plot that is drawn.
Twenty people are twenty clients that send what that browser sent, each another dose, with pauses between: from request
to answer, without twenty browsers on the same cores. Needs Chromium, playwright and the extra `web`.
Usage: python benchmarks/explorer.py [--quick]. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

LIMITS = {
    "ready_s": 6.0,
    "first_paint_ms": 1000.0,
    "one_median_ms": 150.0,
    "one_p95_ms": 300.0,
    "twenty_median_ms": 300.0,
    "memory_mib": 600.0,
}
USERS, PAUSE_S = 20, 6.0
_COURSE = "/?preset=single_infusion"
# Sets `window.drawn` to when the first frame after a change of a curve was painted, in the page's own clock.
_WATCH = """() => {
  const box = document.querySelector('#course .js-plotly-plot');
  window.drawn = 0;
  new MutationObserver(() => {
    if (window.pressed && !window.drawn && !window.painting) {
      window.painting = true;
      requestAnimationFrame(() => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () => { window.drawn = performance.now(); window.painting = false; };
        channel.port2.postMessage(0);
      });
    }
  }).observe(box, {subtree: true, attributes: true, attributeFilter: ['d']});
  document.addEventListener('keydown', () => { window.pressed = performance.now(); window.drawn = 0; }, true);
}"""


def start() -> tuple[subprocess.Popen[str], str, float]:
    """Start the server; return it, its address, and the seconds until it was ready."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "kapsim", "serve", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    address = process.stdout.readline().split()[2].rstrip("/")
    return process, address, time.perf_counter() - begun


def memory_mib(process: subprocess.Popen[str]) -> float:
    """Return the most memory that the server has held, MiB (Linux)."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


def one_person(address: str, presses: int) -> tuple[float, list[float], dict[str, Any]]:
    """Return first paint (ms), the times from key to plot (ms), and the last request of a figure."""
    from playwright.sync_api import Request, sync_playwright

    sent: list[str] = []

    def keep(request: Request) -> None:
        if request.method == "POST" and "numbers.data" in (request.post_data or ""):
            sent.append(request.post_data or "")

    browser_path = next(
        path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))
    )
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        # the first page of a server is answered while it still compiles: the second is what is timed
        for last in (False, True):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.on("request", keep)
            page.goto(address + _COURSE)
            page.wait_for_selector("#endpoints table", timeout=240_000)
            if not last:
                page.close()
        paint = float(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        page.evaluate(_WATCH)
        slider = page.get_by_role("slider", name="Dose (mg/kg)").first
        slider.focus()
        found = []
        for press in range(presses):
            slider.press("ArrowRight")
            page.wait_for_function("() => window.drawn > 0", timeout=60_000)
            found.append(float(page.evaluate("window.drawn - window.pressed")))
            # the tables below the figure come after it, and after a longer rest Plotly's own bookkeeping
            page.wait_for_timeout(400 if press % 2 else 1200)
        browser.close()
    return paint, found, json.loads(sent[-1])


def many_people(address: str, body: dict[str, Any], changes: int) -> tuple[list[float], int]:
    """Return the times from request to answer of `USERS` clients (ms), and how many had none."""
    found: list[float] = []
    failed: list[str] = []

    def person(number: int) -> None:
        rng = random.Random(number)
        time.sleep(PAUSE_S * rng.random())
        for change in range(changes):
            own = json.loads(json.dumps(body))
            for item in own["inputs"]:
                if item["id"] == "a-per_kg":
                    item["value"] = 0.1 + 0.01 * (number + USERS * change)
            request = urllib.request.Request(
                address + "/_dash-update-component",
                data=json.dumps(own).encode(),
                headers={"Content-Type": "application/json"},
            )
            begun = time.perf_counter()
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    problem = json.load(answer)["response"]["course-problem"]["children"]
                if problem:
                    failed.append(problem)
            except OSError as error:
                failed.append(str(error))
            found.append(1000.0 * (time.perf_counter() - begun))
            time.sleep(PAUSE_S * (0.5 + rng.random()))

    threads = [threading.Thread(target=person, args=(number,)) for number in range(USERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found, len(failed)


def p95(values: list[float]) -> float:
    """Return the 95th percentile."""
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer presses and changes")
    quick = parser.parse_args().quick
    process, _, first_ready = start()
    process.terminate()
    process.wait()
    process, address, ready = start()
    try:
        paint, one, body = one_person(address, 12 if quick else 40)
        many, failures = many_people(address, body, 2 if quick else 6)
        result = {
            "ready_s": ready,
            "first_paint_ms": paint,
            "one_median_ms": statistics.median(one),
            "one_p95_ms": p95(one),
            "twenty_median_ms": statistics.median(many),
            "twenty_p95_ms": p95(many),
            "memory_mib": memory_mib(process),
        }
    finally:
        process.terminate()
        process.wait()
    print(f"ready in {first_ready:.1f} s at first, {ready:.1f} s once Python's files are in memory")
    for name, value in result.items():
        limit = f"   (limit {LIMITS[name]:g})" if name in LIMITS else ""
        print(f"  {name:<18} {value:8.1f}{limit}")
    print(f"  failures of {len(many)} requests: {failures}")
    within = failures == 0 and all(result[name] <= limit for name, limit in LIMITS.items())
    print(json.dumps({**result, "failures": failures, "requests": len(many), "within_limits": within}))


if __name__ == "__main__":
    main()
