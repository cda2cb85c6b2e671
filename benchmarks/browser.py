"""Pages of the console in a real browser: when something is first seen, and what a page weighs."""

from collections.abc import Iterator
from typing import Any

from benchmarks import processes
from benchmarks.measures import Row

CHROMIUM = "/usr/bin/chromium"
WHO = ("DEMO-008", "DEMO-002", "DEMO-042", "DEMO-051", "DEMO-003")
"""Made-up officers, each with their own pages."""
SEEN = 1000
"""Milliseconds until something is seen, at most."""
WEIGHT = 300
"""Kilobytes of a page, without its pictures, at most."""
PAINTED = """
new Promise((done) => {
  const told = () => performance.getEntriesByName("first-contentful-paint")[0];
  const wait = () => (told() ? done(told().startTime) : requestAnimationFrame(wait));
  wait();
})
"""
WEIGHED = """
[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .filter((each) => !/\\\\.(png|svg|jpg)/.test(each.name))
  .reduce((sum, each) => sum + each.encodedBodySize, 0)
"""


def pages(quick: bool) -> list[Row]:
    """Every page of the menu of every officer, in a browser that has nothing in store."""
    from playwright.sync_api import sync_playwright

    seen, heavy = dict[str, float](), dict[str, float]()
    with processes.sqlite() as url, processes.demo(url) as demo, sync_playwright() as playwright:
        base = f"{demo.url}/console"
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for who in WHO[:1] if quick else WHO:
            for path, ms, kilobytes in _visited(browser, base, who):
                seen[path], heavy[path] = ms, kilobytes
        browser.close()
    slow, fat = max(seen, key=lambda p: seen[p]), max(heavy, key=lambda p: heavy[p])
    middle = sorted(seen.values())[len(seen) // 2]
    return [
        Row(f"(r) first content of {len(seen)} pages, the middle one", middle, "ms"),
        Row(f"(r) the slowest: {slow}", seen[slow], "ms", f"< {SEEN}", seen[slow] < SEEN),
        Row(f"(r) the heaviest: {fat}", heavy[fat], "kB", f"< {WEIGHT}", heavy[fat] < WEIGHT),
    ]


def _visited(browser: Any, base: str, who: str) -> Iterator[tuple[str, float, float]]:
    """The path of each page, milliseconds and kilobytes."""
    page = browser.new_context(locale="th-TH").new_page()
    page.goto(f"{base}/sign-in")
    page.click(f"button[value={who}]")
    found = page.eval_on_selector_all("#menu a", "all => all.map((each) => each.href)")
    cookies = page.context.cookies()
    for address in found:
        context = browser.new_context(locale="th-TH")
        context.add_cookies(cookies)
        fresh = context.new_page()
        fresh.goto(address, wait_until="networkidle")
        weight = fresh.evaluate(WEIGHED) / 1000
        yield address.removeprefix(base) or "/", fresh.evaluate(PAINTED), weight
        context.close()
