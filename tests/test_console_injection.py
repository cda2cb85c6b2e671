"""A thousand scripts typed into every field of the console, in a real browser: none of them runs,
and none even comes so far that the content policy has to stop it."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, TimeoutError

from content.schema import Content
from tests.browsing import CHROMIUM, Console, crawled
from tests.browsing import opened as joined
from tests.crawling import LEAVES, Form
from tests.payloads import bundles
from tests.rosters import sheet
from tests.test_console_care_browser import work
from tests.test_console_people_browser import brought

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium"),
]
LENGTHS = {"post": 70_000, "get": 4_000}
"""Characters that are typed into a field at a time: all of them at once where they do not stand in
the address."""
ROOMS = {
    *("accounts", "agency", "campaigns", "content", "hooks", "people", "programme", "roles"),
    *("segments", "simulator", "tokens", "uses", "wishes"),
}
"""Where something is typed into a form that has no address of its own."""
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(event.violatedDirective + " " + event.blockedURI));
"""
FILL = """
([at, name, bundle]) => {
  const form = document.forms[at];
  const typed = 'input:not([type]), input[type=text], input[type=search], input[type=url], ' +
    'input[type=email], input[type=tel], input[type=password], textarea';
  form.noValidate = true;
  form.querySelectorAll(typed).forEach((field) => {
    ["maxlength", "pattern", "required", "readonly"].forEach((each) => field.removeAttribute(each));
    if (field.name === name) field.value = bundle;
  });
  form.querySelectorAll("[required]").forEach((field) => { field.checked = true; });
  const button = form.querySelector("button:not([type=button]), input[type=submit]");
  setTimeout(() => { if (button) button.click(); else form.submit(); }, 0);
}
"""


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, content: Content) -> Iterator[Console]:
    """With something to do in every room."""
    with joined(tmp_path_factory.mktemp("console"), content, work) as made:
        yield made


@pytest.fixture(scope="module")
def officer(console: Console) -> dict[str, Any]:
    """The cookies of somebody who is signed in, and has begun what only stands open then."""
    page = console.page()
    console.sign_in(page)
    page.goto(f"{console.base}/campaigns/new")
    page.click("main form button")
    page.goto(f"{console.base}/simulator")
    page.click("main form.card button")
    script = bundles(200)[0]  # a file may bring one, too
    brought(page, console, sheet((script,), headers=(script,)))
    cookies = page.context.cookies()
    page.context.close()
    return {"cookies": cookies}


def opened(console: Console, officer: dict[str, Any]) -> Page:
    context = console.browser.new_context(accept_downloads=True)
    context.add_cookies(officer["cookies"])
    context.add_init_script(WATCH)
    page = context.new_page()
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
    return page


def check(page: Page, where: str) -> None:
    assert page.evaluate("window.poisoned") is None, where
    assert page.evaluate("window.violations") == [], where


def typed(console: Console, page: Page, form: Form, field: str, bundle: str) -> bool:
    """Type a bundle into a text field of a form, and send it; whether the form was there."""
    page.goto(console.base.removesuffix("/console") + form.found_on)
    found: int = page.evaluate(
        "(action) => [...document.forms].findIndex((form) => form.getAttribute('action') === action"
        " || (form.action === location.origin + action))",
        urlsplit(form.action).path,
    )
    if found < 0:  # what was sent before has changed the page
        return False
    with suppress(TimeoutError), page.expect_event("framenavigated", timeout=5_000):
        page.evaluate(FILL, [found, field, bundle])  # a file that comes is no new page
    page.wait_for_load_state("load")
    check(page, f"{form.action} of {form.found_on}")
    return True


def smuggle(console: Console, officer: dict[str, Any], most: int) -> list[str]:
    """Type so many bundles at most into each field of each form; the pages of those that left."""
    page, sent = opened(console, officer), list[str]()
    forms = [
        form
        for form in crawled(console, page, each=1).forms.values()
        if form.texts() and urlsplit(form.action).path not in LEAVES
    ]
    assert forms
    for number, form in enumerate(forms):
        every = bundles(LENGTHS[form.method])
        for field in dict.fromkeys(form.texts()):
            for n in range(min(most, len(every))):
                if typed(console, page, form, field, every[(number + n) % len(every)]):
                    sent.append(form.found_on)
    for path, answer in crawled(console, page, each=1).answers.items():
        if answer.headers["content-type"].startswith("text/html"):
            page.goto(console.base.removesuffix("/console") + path)
            check(page, path)
    page.context.close()
    return sent


def test_a_few_scripts_in_some_fields_do_not_run(
    console: Console, officer: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first field of each form that has no address of its own; the long run takes all."""
    monkeypatch.setattr(
        Form, "texts", lambda form: _texts(form)[:1] if form.method == "post" else []
    )
    sent = smuggle(console, officer, 1)
    assert {page.split("/")[2] for page in sent} >= ROOMS


_texts = Form.texts


@pytest.mark.soak
def test_a_thousand_scripts_in_every_field_do_not_run(
    console: Console, officer: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    sent = smuggle(console, officer, 1000)
    with capsys.disabled():
        print(f"\n{len(sent)} forms sent, 0 executions, 0 violations of the policy")
