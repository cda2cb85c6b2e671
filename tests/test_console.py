"""The console: who gets in, what each may open, and that no other site acts for them."""

import ast
import re
import tempfile
import tomllib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select, update

from bot import wording
from bot.console import pages, passwords
from bot.console.pages import Gate
from content.schema import LANGS
from storage import accounts
from storage.models import accounts as accounts_table
from storage.models import audit, persons, sessions, sign_tries
from tests.agency import POISON
from tests.offices import PASSWORD, Office, forward

OPEN = ("/console/sign-in", "/console/invitation/x")


# --- getting in ----------------------------------------------------------------------------


def test_an_invitation_makes_an_account_once(office: Office) -> None:
    secret, codes = office.join("hr1")

    assert len(set(codes)) == passwords.RECOVERIES
    assert office.get("/console/").status_code == 200
    (row,) = office.edge.rows(select(accounts_table))
    assert row.password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert secret not in str(row)
    assert PASSWORD not in str(office.edge.rows(select(audit)))


def test_a_used_or_old_invitation_opens_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = office.invite("hr1")
    html = office.get(path).text
    secret = re.sub(r"\s", "", re.search(r"<code>([A-Z2-7 ]+)</code>", html)[1])  # type: ignore[index]
    fields = office.chosen(html, secret, "hr1")
    assert office.post(path, **fields).status_code == 200
    assert office.get(path).status_code == 404
    assert office.post(path, **fields).status_code == 404
    path = office.invite("hr2")
    forward(office, monkeypatch, hours=25)
    assert office.get(path).status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("login", "a"),
        ("login", "with space"),
        ("password", "short"),
        ("password", "kaonakaonakaona"),
        ("password", "password1234"),
        ("again", "something else entirely"),
        ("code", "000000"),
    ],
)
def test_what_does_not_do_is_said_beside_its_field(office: Office, field: str, value: str) -> None:
    path = office.invite("hr1")
    html = office.get(path).text
    secret = re.sub(r"\s", "", re.search(r"<code>([A-Z2-7 ]+)</code>", html)[1])  # type: ignore[index]
    fields = office.chosen(html, secret, "hr1") | {field: value}
    if field == "password":
        fields["again"] = value

    answer = office.post(path, **fields)

    assert answer.status_code == 422
    assert f'id="{field}-fault"' in answer.text
    assert secret[:4] in answer.text, "the second factor stays the same"
    assert office.edge.rows(select(accounts_table)) == []


def test_a_name_that_somebody_has_is_refused_and_nothing_is_lost(either: Office) -> None:
    either.join("hr1")
    path = either.invite("hr2")
    html = either.get(path).text
    secret = re.sub(r"\s", "", re.search(r"<code>([A-Z2-7 ]+)</code>", html)[1])  # type: ignore[index]
    fields = either.chosen(html, secret, "hr2")

    refused = either.post(path, **fields | {"login": "HR1hr1"})
    assert refused.status_code == 422
    assert 'id="login-fault"' in refused.text
    assert either.post(path, **fields).status_code == 200


def test_the_password_and_a_new_code_open_the_door(
    either: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = either
    secret, codes = office.join("hr1")
    office.leave()
    used = {"login": "hr1hr1", "password": PASSWORD, "code": office.code(secret)}
    assert office.post("/console/sign-in", **used).status_code == 401, "used at the invitation"
    forward(office, monkeypatch, minutes=1)
    fresh = used | {"code": office.code(secret)}
    assert office.post("/console/sign-in", **fresh | {"password": "wrong"}).status_code == 401
    assert office.post("/console/sign-in", **fresh | {"login": "nobody"}).status_code == 401
    answer = office.post("/console/sign-in", **fresh, next="/console/reports/funnel")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/reports/funnel")
    office.leave()
    assert office.post("/console/sign-in", **fresh).status_code == 401
    by_paper = used | {"code": codes[0].lower()}
    assert office.post("/console/sign-in", **by_paper).status_code == 303
    office.leave()
    assert office.post("/console/sign-in", **by_paper).status_code == 401


def test_nobody_is_sent_to_another_site(office: Office) -> None:
    for wanted in ("https://evil.example/", "//evil.example", "/console//evil", "/chat", "x"):
        assert not pages.safe_next(wanted).startswith(("http", "//")), wanted
        assert pages.safe_next(wanted).startswith("/console")


def test_guessing_gets_slower_and_keeps_nobody_out(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many guesses an hour few are looked at; who was signed in there before is not kept out
    by a stranger's."""
    secret, _ = office.join("hr1")
    known = dict(office.edge.client.cookies)
    office.leave()
    guess = {"login": "hr1hr1", "password": "wrong", "code": "000000"}
    looked_at = 0
    for _ in range(60):
        forward(office, monkeypatch, seconds=59)
        looked_at += office.post("/console/sign-in", **guess).status_code == 401
    assert 3 <= looked_at <= accounts.FEW
    office.edge.client.cookies.set("kaona-known", known["kaona-known"])
    mine = {"login": "hr1hr1", "password": PASSWORD, "code": office.code(secret)}
    assert office.post("/console/sign-in", **mine).status_code == 303
    tries = office.edge.rows(select(sign_tries))
    assert "hr1" not in str(tries)
    assert "testclient" not in str(tries)


def test_a_session_ends_by_itself_and_by_hand(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.join("hr1")
    for _ in range(3):
        forward(office, monkeypatch, minutes=29)
        assert office.get("/console/").status_code == 200
    forward(office, monkeypatch, minutes=31)
    gone = office.get("/console/reports?x=1")
    assert gone.status_code == 303
    assert parse_qs(urlsplit(gone.headers["location"]).query)["next"] == ["/console/reports?x=1"]
    office.leave()
    office.join("hr2")
    answer = office.post("/console/sign-out", csrf=office.csrf())
    assert answer.headers["clear-site-data"]
    assert office.get("/console/").status_code == 303
    assert len(office.edge.rows(select(sessions))) <= 1


def test_whoever_has_left_is_out_at_once(office: Office) -> None:
    office.join("hr1")
    left = update(persons).where(persons.c.id == office.agency.persons["hr1"]).values(left_on=1)
    office.run(lambda conn, now: conn.execute(left) and None)

    assert office.get("/console/").status_code == 303


# --- what each may open ------------------------------------------------------------------


def gates(office: Office) -> list[Gate]:
    found = []
    for mount in office.edge.app.asgi().routes:
        found += [each for each in getattr(mount, "routes", []) if isinstance(each, Gate)]
    assert len(found) > 15
    return found


def test_every_page_says_what_it_needs_and_strangers_open_none(office: Office) -> None:
    for gate in gates(office):
        page = gate.page
        path = "/console" + re.sub(r"\{\w+(:\w+)?\}", "0", page.path)
        answer = office.get(path) if page.method == "GET" else office.post(path)
        if page.needs is None:
            assert answer.status_code in (200, 401, 404), path
        elif page.method == "GET":
            assert answer.headers["location"].startswith("/console/sign-in"), path
        else:
            assert answer.status_code == 401, path


def test_whatever_changes_something_wants_this_browsers_token(office: Office) -> None:
    office.join("hr2")
    other = office.csrf()
    office.leave()
    office.join("hr1")
    csrf = office.csrf()
    before = len(office.edge.rows(select(audit)))
    for gate in gates(office):
        if gate.page.method == "GET" or gate.page.needs is None:
            continue
        path = "/console" + re.sub(r"\{\w+(:\w+)?\}", "0", gate.page.path)
        assert office.post(path).status_code == 403, path
        assert office.post(path, csrf=other).status_code == 403, path
        foreign = {"sec-fetch-site": "cross-site"}
        assert office.post(path, foreign, csrf=csrf).status_code == 403, path
        assert office.post(path, {"sec-fetch-site": "", "origin": "https://evil.example"},
                           csrf=csrf).status_code == 403, path  # fmt: skip
        answer = office.edge.client.post(path, json={"csrf": csrf})
        assert answer.status_code == 415, path
    assert len(office.edge.rows(select(audit))) == before


WALLS = {
    "hr1": {"/reports": 200, "/reports/funnel": 200, "/reports/behind": 200, "/accounts": 403},
    "admin": {"/reports": 403, "/reports/funnel": 403, "/accounts": 200, "/annual": 403},
    "privacy": {"/reports": 200, "/reports/funnel": 403, "/reports/behind": 200, "/accounts": 403},
    "approver": {"/reports/funnel": 200, "/reports/behind": 403, "/accounts": 403, "/annual": 200},
}


@pytest.mark.parametrize("who", WALLS)
def test_each_role_sees_its_own_pages(office: Office, who: str) -> None:
    office.join(who)

    assert {path: office.get("/console" + path).status_code for path in WALLS[who]} == WALLS[who]
    denied = [row for row in office.edge.rows(select(audit)) if row.action == "denied"]
    assert len(denied) == list(WALLS[who].values()).count(403)


def test_an_officer_of_a_part_sees_that_part(office: Office) -> None:
    office.join("hr1")
    behind = (
        office.get("/console/reports/behind?days=1").text
        + office.get("/console/reports/quality").text
    )
    foreign = office.get("/console/reports/funnel?unit=top / two")

    assert foreign.status_code == 403
    assert "Name-a2" not in behind
    assert "top / two" not in behind


def test_nothing_that_a_learner_wrote_runs_or_comes_out(office: Office) -> None:
    office.join("hr")
    for path in ("/", "/reports", "/reports/funnel", "/reports/behind", "/annual", "/own"):
        answer = office.get("/console" + path)
        assert answer.status_code == 200
        assert POISON not in answer.text
        assert "script-src 'nonce-" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"


# --- reports -----------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["?year=x", "?from=yesterday", "?round=-", "?unit=", "?days=5"])
def test_a_filter_that_makes_no_sense_is_explained(office: Office, query: str) -> None:
    office.join("hr")
    answer = office.get("/console/reports/funnel" + query)

    assert answer.status_code == (200 if query == "?unit=" else 422)
    assert ('role="alert"' in answer.text) is (answer.status_code == 422)


def test_a_report_can_be_sorted_and_taken_along(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.join("hr")
    down = office.get("/console/reports/funnel?sort=-people").text
    many = [int(each) for each in re.findall(r'<td class="number">(\d+)</td><td', down)]
    assert many
    assert 'aria-sort="descending"' in down
    file = office.post("/console/reports/funnel/file", csrf=office.csrf(), format="json")
    assert file.headers["content-disposition"].startswith('attachment; filename="kaona-funnel-')
    assert file.json()["denominator"] == 14
    assert list(Path(tempfile.gettempdir()).glob("kaona-*.json")) == []
    noted = [row.data for row in office.edge.rows(select(audit)) if row.action == "report"]
    assert len(noted) == 2


def test_names_leave_only_with_the_password_given_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, _ = office.join("hr")
    path, fields = "/console/reports/behind/file", {"format": "csv"}
    assert office.post(path, csrf=office.csrf(), **fields).status_code == 200
    forward(office, monkeypatch, minutes=6)
    asked = office.post(path, csrf=office.csrf(), **fields)
    assert (asked.status_code, urlsplit(asked.headers["location"]).path) == (303, "/console/prove")
    before = office.edge.client.cookies[pages.PLAIN]
    assert office.prove(secret).status_code == 303
    assert office.edge.client.cookies[pages.PLAIN] != before
    assert office.post(path, csrf=office.csrf(), **fields).status_code == 200


# --- users -------------------------------------------------------------------------------


def test_an_admin_invites_and_closes_accounts(office: Office) -> None:
    office.join("hr1")
    office.leave()
    office.join("admin")
    csrf = office.csrf()
    made = office.post("/console/accounts/invite", csrf=csrf, hr_id="HR-hr2")
    assert "/console/invitation/" in made.text
    for who, why in (("HR-none", "account_nobody"), ("HR-a1", "account_no_role")):
        refused = office.post("/console/accounts/invite", csrf=csrf, hr_id=who)
        assert refused.status_code == 422
        assert pages.words("th")[why].format(who=who) in refused.text
    assert office.post("/console/accounts/end", csrf=csrf, hr_id="HR-admin").status_code == 422
    assert office.post("/console/accounts/end", csrf=csrf, hr_id="HR-hr1").status_code == 303
    held = {row.person_id for row in office.edge.rows(select(sessions))}
    assert held == {office.agency.persons["admin"]}


def test_the_first_admin_comes_by_the_command_line(office: Office) -> None:
    run = office.edge.client.portal.call  # type: ignore[union-attr]
    made = run(office.edge.app.control.do_admin, "HR-a1")
    assert office.get(f"/console/invitation/{made['token']}").status_code == 200
    assert "refused" in run(office.edge.app.control.do_admin, "HR-none")
    given = [row for row in office.edge.rows(select(audit)) if row.action == "grant"]
    assert "admin" in given[-1].data
    run(office.edge.app.control.do_admin, "HR-a1")
    assert office.get(f"/console/invitation/{made['token']}").status_code == 404


def test_a_demo_lets_nobody_real_be_played(office: Office) -> None:
    assert office.post("/console/demo", who="HR-hr1").status_code == 404


@pytest.mark.parametrize("wrong", ["", "-1", "x", "9" * 19, "9" * 5000])
def test_a_number_that_no_row_has_is_refused(office: Office, wrong: str) -> None:
    """So long a one that Python itself would not read it, too."""
    office.enter("hr")
    assert office.send("/console/annual/file", year=wrong).status_code == 400
    assert office.send("/console/own/end", id=wrong).status_code == 400


# --- words -------------------------------------------------------------------------------


def test_both_languages_have_every_word_that_is_used() -> None:
    th, en = (pages.words(lang) for lang in LANGS)
    root = Path(pages.__file__).parent.parent
    html = "".join(path.read_text() for path in (root / "templates/console").glob("*.html"))
    code = "".join(path.read_text() for path in root.rglob("*.py"))
    used = set(re.findall(r"words\.([a-z_]+)", html)) | set(re.findall(r'"([a-z_]+)"', code))
    begun = tuple(re.findall(r'"([a-z_]+_)(?:"|\{)', html + code))

    assert list(th) == list(en)
    assert set(re.findall(r"words\.([a-z_]+)", html)) <= set(th)
    assert {word for word in th if word not in used and not word.startswith(begun)} == set()


OWN_LOG = ("begun", "ended", "held", "looked_at", "wave", "wave_gone")
"""What the log of a campaign alone holds."""


def test_every_action_in_the_journal_has_a_name() -> None:
    """Those that are written as they stand; others are made of words that have one."""
    root, noted = Path(pages.__file__).parents[2], set[str]()
    for path in [*(root / "bot").rglob("*.py"), *(root / "storage").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="note") | ast.Name(id="note" | "note_audit"),
                    args=[_, _, ast.Constant(value=str(action)), *_],
                ):
                    noted.add(action)
    assert len(noted) > 40
    names = pages.words("th")
    assert {each for each in noted if "did_" + each not in names} <= set(OWN_LOG)


def test_no_word_is_there_twice_and_each_says_the_same_slots() -> None:
    for lang in LANGS:
        files = sorted(wording.WORDS.glob(f"*.{lang}.toml"))
        keys = [key for path in files for key in tomllib.loads(path.read_text())]
        assert len(keys) == len(set(keys))
    slots = [{key: set(re.findall(r"\{(\w+)", said)) for key, said in pages.words(lang).items()}
             for lang in LANGS]  # fmt: skip
    assert slots[0] == slots[1]
