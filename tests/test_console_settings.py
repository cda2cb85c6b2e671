"""Settings and the first hour: what the platforms say about themselves, in plain words."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot import probes
from bot.config import Settings
from bot.console import pages
from bot.console import setup as first_hour
from bot.probes import Found, Probed
from content.schema import Content
from storage import beginnings, roster
from storage.beginnings import Begun
from storage.database import Database
from storage.models import audit
from tests.agency import Agency, full
from tests.offices import Office
from tests.running import edge, eventually, ready

LINE_HOOK = "https://kaona.example.go.th/webhook/line"
TELEGRAM_HOOK = "https://kaona.example.go.th/webhook/telegram"
DAY = datetime(2026, 11, 20, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("who", "status"), [("admin", 200), ("hr", 403), ("privacy", 403), ("hr1", 403)]
)
def test_only_whoever_looks_after_the_system_opens_them(
    office: Office, who: str, status: int
) -> None:
    office.enter(who)

    assert office.get("/console/settings").status_code == status
    assert office.get("/console/setup").status_code == status


def test_values_are_shown_with_where_they_come_from_and_no_secret(office: Office) -> None:
    office.enter("admin", "en")
    html = office.get("/console/settings").text

    assert "dpo@agency.go.th" in html
    assert "LINE_QUOTA_SAFETY" in html
    assert LINE_HOOK in html
    assert "k" * 48 not in html
    assert "4242:token" not in html
    assert "telegram-webhook-secret" not in html
    assert pages.words("en")["health_good"] in html
    assert pages.words("en")["health_bad"] not in html


def look_at(office: Office, channel: str) -> dict[str, bool | None]:
    office.enter("admin")
    answer = office.send("/console/settings/test", channel=channel)
    assert answer.headers["location"] == "/console/settings"
    html = office.get("/console/settings").text
    found = office.edge.app.probed[channel].found
    for each in found:
        assert pages.words("th")["probe_" + each.id].format(**each.slots) in html
    return {each.id: each.good for each in found}


def test_line_says_what_is_missing(office: Office) -> None:
    line = office.edge.line
    line.chats = True
    assert look_at(office, "line") == {
        "line_bot": True, "line_chat_on": False, "line_webhook_none": False,
        "line_menu_none": False, "line_quota_free": True}  # fmt: skip
    line.endpoint, line.quota, line.used = "https://old.example/hook", 300, 280
    assert look_at(office, "line")["line_webhook_other"] is False
    assert look_at(office, "line")["line_quota_short"] is False
    line.endpoint, line.uses_webhook, line.chats = LINE_HOOK, False, False
    found = look_at(office, "line")
    assert (found["line_webhook_off"], found["line_chat_off"]) == (False, True)
    line.uses_webhook = True
    found = look_at(office, "line")
    assert (found["line_webhook"], found["line_test_failed"]) == (True, False)
    noted = [row.data for row in office.edge.rows(select(audit)) if row.action == "channel_tested"]
    assert json.loads(noted[0]) == {"faults": 3}


@pytest.mark.parametrize(
    ("fault", "id"), [(401, "line_token"), (500, "line_silent"), (429, "line_busy"),
                      ("reset", "line_silent"), ("garbled", "line_silent")],
)  # fmt: skip
def test_line_does_not_answer_as_it_should(office: Office, fault: Any, id: str) -> None:
    eventually(lambda: office.edge.app.line_id)  # the service itself has asked who we are
    office.edge.line.fail_next(2, fault, "/v2/bot/info")  # a lost GET is asked again
    assert look_at(office, "line") == {id: False}


def test_the_test_of_the_webhook_is_lines_own(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.edge.line.endpoint = LINE_HOOK

    async def arrived(method: str, path: str, body: Any) -> object:
        from tests.simulators.server import answer

        return answer({"success": True, "timestamp": "2026-11-20T02:00:00Z", "statusCode": 200,
                       "reason": "OK", "detail": "200"})  # fmt: skip

    real = office.edge.line._webhook

    async def webhook(method: str, path: str, body: Any) -> Any:
        return await (arrived if path.endswith("/test") else real)(method, path, body)

    monkeypatch.setattr(office.edge.line, "_webhook", webhook)
    assert look_at(office, "line")["line_test"] is True
    office.edge.line.fail_next(1, 429, "/webhook/test")
    assert look_at(office, "line")["line_test_later"] is None


def test_telegram_says_what_is_missing(office: Office) -> None:
    telegram = office.edge.telegram
    telegram.webhook = None
    assert look_at(office, "telegram") == {
        "telegram_bot": True, "telegram_webhook_none": False,
        "telegram_commands_none": False}  # fmt: skip
    telegram.webhook = {"url": "https://old.example/hook"}
    telegram.commands[""] = [{"command": "menu", "description": "x"}]
    found = look_at(office, "telegram")
    assert found["telegram_webhook_other"] is False
    assert found["telegram_commands"] is True
    telegram.webhook = {"url": TELEGRAM_HOOK}
    assert look_at(office, "telegram")["telegram_webhook"] is True
    telegram.fail_next(1, 500, "getMe")
    assert look_at(office, "telegram") == {"telegram_silent": False}


@pytest.mark.anyio
async def test_polling_wants_no_webhook(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[str, Any] = {"/getWebhookInfo": {"result": {"url": "https://x"}}}

    async def ask(self: object, method: str, path: str, body: Any = None) -> Any:
        return 200, answers.get(path, {"result": {}})

    monkeypatch.setattr(probes.Asking, "__call__", ask)
    polled = Settings(_env_file=None, TELEGRAM_BOT_TOKEN="1:x")  # type: ignore[call-arg]
    assert (await probes.telegram(polled, DAY))[1] == Found("telegram_polling_blocked", False)
    answers["/getWebhookInfo"] = {"result": {"url": ""}}
    assert (await probes.telegram(polled, DAY))[1] == Found("telegram_polling", True)


@pytest.mark.parametrize("channel", ["", "sms", "web"])
def test_a_channel_that_is_not_there_is_not_tested(office: Office, channel: str) -> None:
    office.enter("admin")
    assert office.send("/console/settings/test", channel=channel).status_code == 404
    assert office.send("/console/setup/mend", channel=channel).status_code == 404


# --- the first hour ----------------------------------------------------------------------

NOTHING = Begun(False, False, False, False, 1, False)
ALL = Begun(True, True, True, True, 2, True)


def missing(settings: dict[str, str], begun: Begun, *found: Found) -> set[str]:
    made = Settings(_env_file=None, **settings)  # type: ignore[call-arg]
    probed = {"line": Probed(DAY, found)} if found else {}
    return {each.id for each in first_hour.steps(made, probed, begun) if each.missing}


def test_the_list_knows_what_comes_next() -> None:
    assert missing({}, NOTHING) == {
        "secret_key", "public_url", "dpo", "line", "telegram", "roster", "hr", "approver",
        "privacy", "second_admin", "campaign"}  # fmt: skip
    given = {"KAONA_SECRET_KEY": "k" * 32, "KAONA_PUBLIC_URL": "https://x.go.th",
             "KAONA_DPO_CONTACT": "x", "LINE_CHANNEL_SECRET": "x",
             "LINE_CHANNEL_ACCESS_TOKEN": "x"}  # fmt: skip
    assert missing(given, ALL) == set(), "what was not asked yet is not missing"
    assert missing(given, ALL, Found("line_webhook_none", False), Found("line_chat_off", True),
                   Found("line_menu_none", False)) == {"line_webhook", "line_menu"}  # fmt: skip
    assert missing(given, ALL, Found("line_webhook", True), Found("line_test", True)) == set()
    assert missing(given, ALL, Found("line_webhook", True),
                   Found("line_test_failed", False)) == {"line_webhook"}  # fmt: skip


def test_an_approver_is_somebody_else(db: Database) -> None:
    Agency(db, DAY)
    with db.write() as conn:
        begun = beginnings.read(conn, DAY)
        assert begun == Begun(True, True, True, True, 1, False)
        alone = roster.add_person(conn, hr_id="X", name="X", unit_id=1)
        roster.grant(conn, alone, "hr", DAY)
        roster.grant(conn, alone, "approver", DAY)
        assert beginnings.read(conn, DAY).approver


def test_the_platforms_are_set_up_from_here(office: Office) -> None:
    office.enter("admin")
    assert "/console/setup" in office.get("/console/").text
    assert pages.words("th")["step_is_unknown"] in office.get("/console/setup").text
    office.send("/console/settings/test", channel="line", back="setup")
    assert office.edge.line.endpoint == ""
    for channel in ("line", "telegram"):
        answer = office.send("/console/setup/mend", channel=channel)
        assert answer.headers["location"] == "/console/setup"
    assert office.edge.line.endpoint == LINE_HOOK
    assert office.edge.line.default_menu in office.edge.line.menus
    assert office.edge.telegram.webhook is not None
    assert office.edge.telegram.commands[""]
    assert pages.words("th")["setup_mended"].format(channel="Telegram") in office.get(
        "/console/setup").text  # fmt: skip
    assert [row.target for row in office.edge.rows(select(audit))
            if row.action == "channel_set"] == ["line", "telegram"]  # fmt: skip
    found = office.edge.app.probed["telegram"].found
    assert all(each.good for each in found)


def test_what_could_not_be_set_up_is_said(office: Office) -> None:
    office.enter("admin")
    office.edge.telegram.fail_next(9, 401)
    office.send("/console/setup/mend", channel="telegram")
    html = office.get("/console/setup").text
    assert pages.words("th")["setup_not_mended"].format(channel="Telegram") in html
    assert pages.words("th")["probe_telegram_token"] in html


@pytest.fixture
def bare(tmp_path: Path, content: Content, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """Without a public address."""
    monkeypatch.chdir(tmp_path)
    url = ready(tmp_path)
    agency, _ = full(url, content)
    more = {"KAONA_PUBLIC_URL": "", "TELEGRAM_MODE": "polling"}
    with edge(url, content, **more) as made:
        yield Office(made, agency)


def test_without_a_public_address_line_cannot_be_reached(bare: Office) -> None:
    assert look_at(bare, "line")["line_no_url"] is False
    bare.send("/console/setup/mend", channel="line")
    assert bare.edge.line.endpoint == ""
    html = bare.get("/console/setup").text
    assert pages.words("th")["step_mend_public_url"] in html
