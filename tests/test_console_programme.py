"""The yearly programme in the console: part by part, each fault beside its field, and what the
report still lacks."""

import re
from typing import Any

import pytest
from sqlalchemy import select, update

from bot.console import pages
from bot.console.programme import PARTS
from content.schema import Content, Programme
from flows.programme import missing
from storage import programmes
from storage.models import persons
from storage.models import programmes as table
from tests.offices import Office

WORDS = pages.words("th")
YEAR = 2570
HOME = f"/console/programme/{YEAR}"


def kept(office: Office) -> Programme | None:
    rows = office.edge.rows(select(table).where(table.c.year == YEAR))
    return office.run(lambda conn, now: programmes.current(conn, YEAR)) if rows else None


def seen(office: Office, part: str) -> str:
    found = re.search(r'name="seen" value="([^"]+)"', office.get(f"{HOME}/{part}").text)
    assert found
    return found[1]


def save(office: Office, part: str, mark: str = "", **fields: str) -> Any:
    named = {name.replace("__", "-"): value for name, value in fields.items()}
    return office.send(f"{HOME}/{part}", seen=mark or seen(office, part), **named)


def head(office: Office) -> None:
    """b1 is a deputy head of the agency."""
    person = office.agency.persons["b1"]
    named = update(persons).where(persons.c.id == person)
    values = {"title": "รองอธิบดี", "position_type": "บริหาร"}
    office.run(lambda conn, now: conn.execute(named.values(values)) and None)


@pytest.mark.parametrize(
    ("who", "home", "part"),
    [("hr", 200, 200), ("hr1", 200, 403), ("privacy", 403, 403), ("admin", 403, 403)],
)
def test_who_writes_the_programme(office: Office, who: str, home: int, part: str) -> None:
    office.enter(who)
    answer = office.get("/console/programme")
    assert answer.status_code == home
    if who == "hr1":
        assert WORDS["programme_whole"] in answer.text
    assert office.get(HOME).status_code == part
    for each in PARTS:
        assert office.get(f"{HOME}/{each}").status_code == part
    if who != "hr":
        assert office.send(f"{HOME}/policy", seen="x").status_code == 403
        assert kept(office) is None


def test_each_part_is_kept_by_itself(office: Office) -> None:
    head(office)
    office.enter("hr")
    answer = save(
        office, "policy", policy__statement="ทุกคนใช้ดิจิทัลได้\r\nจริง",
        policy__announced_on="2569-10-15", policy__goal__2__text="ประเมินครบ",
        policy__goal__2__target="ร้อยละ 80",
    )  # fmt: skip
    assert (answer.status_code, answer.headers["location"]) == (303, HOME)
    fields = {"working_group__head__hr_id": "HR-b1", "working_group__member__1__duty": "ประสานงาน"}
    assert save(office, "working_group", **fields).status_code == 303
    stage = {"stage__policy__state": "done", "stage__policy__evidence": "ที่ 1/2570\n\nhttps://x"}
    assert save(office, "stage", **stage | {"stage__policy__from": "2026-10-01"}).status_code == 303
    work = {"name": "อบรม", "method": "workshop", "hours": "6.5", "people": "1,200"}
    rows = {f"workshop__1__{key}": value for key, value in work.items()}
    assert save(office, "workshop", **rows).status_code == 303
    assert save(office, "plan", plan__service__approach="จับคู่พี่เลี้ยง").status_code == 303
    assert save(office, "follow_up", motivation__other="ยกย่อง").status_code == 303
    assert save(office, "memo", memo__number="ที่ นร 1").status_code == 303

    made = kept(office)
    assert made is not None
    assert made.version == 7
    assert made.policy.statement == "ทุกคนใช้ดิจิทัลได้\nจริง"
    assert str(made.policy.announced_on) == "2026-10-15"
    assert [goal.target for goal in made.policy.goals] == ["ร้อยละ 80"]
    assert made.working_group.head.title == "รองอธิบดี", "as the roster says"
    assert [member.duty for member in made.working_group.members] == ["ประสานงาน"]
    assert made.stages[0].evidence == ("ที่ 1/2570", "https://x")
    assert [stage.state for stage in made.stages[1:]] == ["planned"] * 5
    assert (made.workshops[0].hours, made.workshops[0].people) == (6.5, 1200)
    assert [plan.group for plan in made.plans] == ["service"]
    assert (made.motivation.other, made.memo.number) == ("ยกย่อง", "ที่ นร 1")
    for part in PARTS:
        assert save(office, part, **typed(office, part)).status_code == 303, part
    again = kept(office)
    assert again is not None
    assert again.model_copy(update={"version": 7}) == made, "saving what is shown changes nothing"


def typed(office: Office, part: str) -> dict[str, str]:
    """The form of a part as a browser would send it back."""
    html = office.get(f"{HOME}/{part}").text.partition("<main")[2]
    found = dict(re.findall(r'<input id="([^"]+)" name="[^"]+" type="\w+" value="([^"]*)"', html))
    found |= dict(re.findall(r'<textarea id="([^"]+)"[^>]*>\n([^<]*)</textarea>', html))
    for name, options in re.findall(r'<select id="([^"]+)"[^>]*>(.*?)</select>', html):
        chosen = re.findall(r'value="([^"]*)" selected', options)
        first = re.findall(r'value="([^"]*)"', options)
        found[name] = (chosen or first)[0]
    return found


@pytest.mark.parametrize(
    ("part", "fields", "name"),
    [
        ("policy", {"policy__announced_on": "yesterday"}, "policy-announced_on"),
        ("policy", {"policy__announced_on": "2000-01-01"}, "policy-announced_on"),
        ("policy", {"policy__document": "ก" * 301}, "policy-document"),
        ("policy", {"policy__statement": "ก" * 4001}, "policy-statement"),
        ("policy", {"policy__goal__1__target": "80"}, "policy-goal-1-text"),
        ("working_group", {"working_group__head__hr_id": "nobody"}, "working_group-head-hr_id"),
        ("working_group", {"working_group__head__title": "ผู้อำนวยการกอง"},
         "working_group-head-hr_id"),
        ("working_group", {"working_group__member__1__duty": "x",
                           "working_group__member__2__hr_id": "nobody"},
         "working_group-member-2-hr_id"),
        ("stage", {"stage__policy__state": "done"}, "stage-policy-evidence"),
        ("stage", {"stage__policy__state": "dance"}, "stage-policy-state"),
        ("stage", {"stage__plan__from": "2026-11-02", "stage__plan__until": "2026-11-01"},
         "stage-plan-until"),
        ("workshop", {"workshop__1__name": "x", "workshop__1__method": "workshop",
                      "workshop__1__hours": "1e999", "workshop__1__people": "1"},
         "workshop-1-hours"),
        ("workshop", {"workshop__1__name": "x", "workshop__1__method": "workshop",
                      "workshop__1__hours": "nan", "workshop__1__people": "1.5"},
         "workshop-1-people"),
        ("workshop", {"workshop__3__hours": "six"}, "workshop-1-name"),
        ("workshop", {"workshop__1__name": "x", "workshop__1__method": "magic",
                      "workshop__1__hours": "1", "workshop__1__people": "1"},
         "workshop-1-method"),
        ("maturity", {"maturity__e-file": "perhaps"}, "maturity-e-file"),
    ],
)  # fmt: skip
def test_each_fault_is_beside_its_field(
    office: Office, part: str, fields: dict[str, str], name: str
) -> None:
    office.enter("hr")
    answer = save(office, part, **fields)

    assert answer.status_code == 422
    assert f'id="{name}-fault"' in answer.text
    assert answer.text.count('class="fault"') >= 1
    assert kept(office) is None
    for value in fields.values():
        if value not in ("dance", "magic", "perhaps"):  # no option is called so
            assert value in answer.text


def test_two_officers_at_one_part_do_not_overwrite_each_other(either: Office) -> None:
    office = either
    office.enter("hr")
    old = seen(office, "policy")
    save(office, "policy", policy__document="ของคนแรก")
    answer = save(office, "policy", old, policy__document="ของคนที่สอง")

    assert answer.status_code == 422
    assert WORDS["changed_meanwhile"] in answer.text
    assert 'value="ของคนที่สอง"' in answer.text
    assert WORDS["programme_latest"].format(text="ของคนแรก") in answer.text
    made = kept(office)
    assert made is not None
    assert made.policy.document == "ของคนแรก"
    assert save(office, "policy", "forged", policy__document="x").status_code == 422


def test_two_officers_at_different_parts_do_not_stand_in_each_others_way(office: Office) -> None:
    office.enter("hr")
    old = seen(office, "memo")
    save(office, "policy", policy__document="ของคนแรก")
    assert save(office, "memo", old, memo__number="ของคนที่สอง").status_code == 303
    made = kept(office)
    assert made is not None
    assert (made.policy.document, made.memo.number) == ("ของคนแรก", "ของคนที่สอง")


def test_a_fault_of_another_part_is_said_above(office: Office) -> None:
    office.enter("hr")
    fields = {"stage__working-group__state": "done", "stage__working-group__evidence": "x"}
    answer = save(office, "stage", **fields)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    copy = office.edge.app.content.copy_["th"]
    assert copy["programme_problem_head_missing"] in answer.text


def test_maturity_is_known_once_all_is_answered(office: Office, content: Content) -> None:
    office.enter("hr")
    signs = [sign.id for level in content.cycle.levels for sign in level.signs]
    save(office, "maturity", **{f"maturity__{signs[0]}": "yes"})
    assert WORDS["programme_unanswered"].format(n=1, of=len(signs)) in office.get(HOME).text
    save(office, "maturity", **{f"maturity__{id}": "yes" for id in signs})
    top = content.cycle.levels[-1].name.th
    assert top in office.get(HOME).text
    assert top in office.get("/console/programme").text
    save(office, "maturity", **{f"maturity__{id}": "no" for id in signs})
    assert content.cycle.levels[0].about.th in office.get(HOME).text


def test_what_the_report_lacks_is_listed_with_a_way_to_it(office: Office) -> None:
    office.enter("hr")
    html = office.get(HOME).text
    for gap in missing(Programme(), office.edge.app.content):
        said = WORDS[f"programme_gap_{gap.part}_{gap.key}"].format(n=gap.many)
        assert f'<a href="{HOME}/{gap.part}">{said}</a>' in html
    assert WORDS["programme_gap_uses"] in html
    save(office, "policy", policy__statement="นโยบาย")
    assert f">{WORDS['programme_gap_policy_statement']}<" not in office.get(HOME).text


@pytest.mark.parametrize(
    "path", ["0", "2559", "x", "9" * 40, "2570/none", "2570/0", "x/policy", "-1/policy"]
)
def test_what_is_not_there_is_not_found(office: Office, path: str) -> None:
    office.enter("hr")
    assert office.get("/console/programme/" + path).status_code == 404
    if "/" in path:
        assert office.send("/console/programme/" + path, seen="x").status_code == 404


def test_a_form_comes_in_parts_as_browsers_send_it(office: Office) -> None:
    """Thai takes nine bytes a letter otherwise, and a long policy would be too large."""
    office.enter("hr")
    long = "ก" * 4000
    fields = {"plan-service-" + key: long for key in ("ability", "interest", "approach")}
    fields |= {"plan-academic-" + key: long for key in ("ability", "interest", "approach")}
    sent = [(name, (None, value)) for name, value in fields.items()]
    sent += [("seen", (None, seen(office, "plan"))), ("csrf", (None, office.csrf()))]
    answer = office.edge.client.post(
        f"{HOME}/plan", files=sent, headers={"sec-fetch-site": "same-origin"},
        follow_redirects=False,
    )  # fmt: skip
    assert answer.status_code == 303
    made = kept(office)
    assert made is not None
    assert [plan.interest for plan in made.plans] == [long, long]
