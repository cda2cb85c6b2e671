"""The agency's own settings: who may change which, what is refused, and that they hold at once."""

import re
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from flows.calendar import is_working
from storage.models import audit, revisions
from tests.offices import Office

PAGE = "/console/agency"
DAY = {"date": "2026-12-21", "th": "วันสถาปนากรม", "en": "Founding day"}
RHYTHM = {"weekly_after": "2", "pause_after": "6", "busy_minutes": "30", "late_hours": "3"}
LINES = {"least": "12", "behind_days": "15", "fewest_pairs": "20", "fewest_answers": "60"}


def seen(office: Office, key: str) -> str:
    html = office.get(PAGE).text
    part = html[html.index(f'aria-labelledby="{key}"') :]
    found = re.search(r'name="seen" value="([^"]*)"', part)
    assert found
    return found[1]


def change(office: Office, key: str, path: str = "", **fields: str) -> Any:
    return office.send(f"{PAGE}/{key}{path}", seen=seen(office, key), **fields)


def rows(office: Office) -> Any:
    return office.edge.rows(select(revisions).order_by(revisions.c.id))


def test_who_may_open_and_who_may_change(office: Office) -> None:
    opens = {"hr": 200, "hr1": 200, "admin": 200, "approver": 403, "privacy": 403, "ocsc": 403}
    for who, status in opens.items():
        office.enter(who)
        assert office.get(PAGE).status_code == status, who
    wanted = {
        "hr": {"rhythm", "thresholds", "days/add", "days/remove"},
        "hr1": set(),
        "admin": {"dpo"},
    }
    for who, mine in wanted.items():
        office.enter(who)
        for path in ("dpo", "rhythm", "thresholds", "days/add", "days/remove"):
            answer = office.send(f"{PAGE}/{path}", seen="old")
            assert answer.status_code == (422 if path in mine else 403), (who, path)
            key = path.partition("/")[0]
            reset = office.send(f"{PAGE}/{key}/reset")
            assert reset.status_code == (303 if path in mine else 403), (who, path)
    assert rows(office) == []


def test_whom_to_ask_about_data(office: Office) -> None:
    office.enter("admin")
    answer = change(office, "dpo", contact="dpo2@agency.go.th โทร 0 2000 0000")
    assert answer.status_code == 303
    assert office.edge.app.content.dpo.startswith("dpo2@")
    assert "dpo2@" in office.get(PAGE).text
    action = office.edge.rows(select(audit))[-1]
    assert (action.action, action.target) == ("content_published", "setting:dpo")
    for bad in ("", "x" * 301):
        assert change(office, "dpo", contact=bad).status_code == 422
    assert change(office, "dpo", contact=office.edge.app.content.dpo).status_code == 422
    office.send(f"{PAGE}/dpo/reset", sure="1")
    assert office.edge.app.content.dpo == "dpo@agency.go.th"


def test_days_off_hold_at_once_and_are_taken_back(office: Office) -> None:
    office.enter("hr")
    app, day = office.edge.app, date(2026, 12, 21)
    assert is_working(day, app.content)
    assert change(office, "days", "/add", **DAY).status_code == 303
    assert not is_working(day, app.content)
    assert "วันสถาปนากรม" in office.get(PAGE).text
    assert change(office, "days", "/add", **DAY | {"date": "2026-12-22"}).status_code == 303
    assert change(office, "days", "/remove", date="2026-12-21").status_code == 303
    assert is_working(day, app.content)
    assert not is_working(date(2026, 12, 22), app.content)
    assert [row.status for row in rows(office)] == ["replaced", "replaced", "published"]
    assert office.send(f"{PAGE}/days/reset").status_code == 303
    assert not is_working(date(2026, 12, 22), app.content), "it was not confirmed"
    office.send(f"{PAGE}/days/reset", sure="1")
    assert is_working(date(2026, 12, 22), app.content)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("date", ""),
        ("date", "2026-12-20"),
        ("date", "2026-12-31"),
        ("date", "1999-01-04"),
        ("date", "วันจันทร์"),
        ("date", "9" * 400),
        ("th", ""),
        ("en", ""),
        ("en", "x" * 1600),
    ],
)
def test_no_day_off_that_is_none(office: Office, field: str, value: str) -> None:
    office.enter("hr")
    answer = change(office, "days", "/add", **DAY | {field: value})
    assert answer.status_code == 422
    assert f'id="{field}-fault"' in answer.text
    assert field == "th" or DAY["th"] in answer.text, "what was typed is kept"
    assert rows(office) == []


def test_the_same_day_is_not_off_twice(office: Office) -> None:
    office.enter("hr")
    change(office, "days", "/add", **DAY)
    assert change(office, "days", "/add", **DAY).status_code == 422
    assert change(office, "days", "/remove", date="nothing").status_code == 422


def test_thresholds_and_rhythm_reach_what_reads_them(office: Office) -> None:
    office.enter("hr")
    assert change(office, "thresholds", **LINES).status_code == 303
    assert change(office, "rhythm", **RHYTHM, time="09:30").status_code == 303
    content = office.edge.app.content
    assert (content.layout.least, content.reports.behind_days) == (12, 15)
    assert content.reports.items.fewest == 60
    rules = content.nudges.rules
    assert (rules.weekly_after, rules.pause_after, rules.time.hour) == (2, 6, 9)


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("thresholds", "least", "4"),
        ("thresholds", "least", "9"),
        ("thresholds", "least", "many"),
        ("thresholds", "least", ""),
        ("thresholds", "fewest_pairs", "4"),
        ("thresholds", "behind_days", "9999"),
        ("rhythm", "weekly_after", "9"),
        ("rhythm", "pause_after", "0"),
        ("rhythm", "busy_minutes", "-1"),
        ("rhythm", "late_hours", "1e9"),
        ("rhythm", "time", "22:00"),
        ("rhythm", "time", "12:15"),
        ("rhythm", "time", "noon"),
    ],
)
def test_what_is_not_safe_is_refused(office: Office, key: str, field: str, value: str) -> None:
    """The smallest group is never less than the privacy notice promises."""
    office.enter("hr")
    typed = LINES if key == "thresholds" else {**RHYTHM, "time": "09:30"}
    answer = change(office, key, **typed | {field: value})
    assert answer.status_code == 422
    assert f'id="{field}-fault"' in answer.text
    assert rows(office) == []


def test_two_who_change_at_once_do_not_overwrite_each_other(office: Office) -> None:
    office.enter("hr")
    old = seen(office, "rhythm")
    change(office, "rhythm", **RHYTHM, time="09:30")
    late = office.send(f"{PAGE}/rhythm", seen=old, **RHYTHM | {"late_hours": "9"}, time="09:00")
    assert late.status_code == 422
    assert 'value="9"' in late.text
    assert office.edge.app.content.nudges.rules.late_hours == 3
    old = seen(office, "days")
    change(office, "days", "/add", **DAY)
    assert office.send(f"{PAGE}/days/remove", seen=old, date=DAY["date"]).status_code == 422


def test_what_is_not_there_is_not_found(office: Office) -> None:
    office.enter("hr")
    for path in ("colour", "colour/add", "rhythm/add", "thresholds/remove", "days", "x/reset"):
        assert office.send(f"{PAGE}/{path}", seen="").status_code == 404, path
