"""The content room: what each may open, drafts, the lint, publishing, history, and spreadsheets."""

import re
from typing import Any

import pytest
from msgspec.json import encode
from sqlalchemy import select

from content.overlay import digest, entry
from flows.types import Pressed
from storage import revisions as storage_revisions
from storage.database import Database
from storage.models import addresses, audit, facts, learners, outbox, revisions
from storage.revisions import Draft
from storage.scope import Right, Scope
from storage.wire import Incoming
from tests.offices import Office

QUESTION = "/console/content/question/computer-01"


def form(html: str) -> dict[str, Any]:
    """The fields of the form for an entry, as a browser would send them."""
    part = html[html.rindex('<form method="post" class="card"') :]
    found: dict[str, Any] = {}
    for tag in re.finditer(r"<input ([^>]*)>", part):
        name = re.search(r'name="([^"]*)"', tag[1])
        value = re.search(r'value="([^"]*)"', tag[1])
        if name and value and ("checkbox" not in tag[1] or " checked" in tag[1]):
            if "checkbox" in tag[1]:
                found.setdefault(name[1], []).append(value[1])
            else:
                found[name[1]] = value[1]
    for name, text in re.findall(
        r'<textarea id="[^"]*" name="([^"]*)".*?>\n(.*?)</textarea>', part, re.S
    ):
        found[name] = text
    for name, inner in re.findall(
        r'<select id="[^"]*" name="([^"]*)".*?>(.*?)</select>', part, re.S
    ):
        chosen = re.search(r'<option value="([^"]*)" selected', inner)
        found[name] = chosen[1] if chosen else ""
    found.pop("csrf")
    return {name: _unescaped(value) for name, value in found.items()}


def _unescaped(value: Any) -> Any:
    import html

    return [html.unescape(v) for v in value] if isinstance(value, list) else html.unescape(value)


def draft(office: Office, path: str, **changes: str) -> str:
    """Save a draft of an entry; its page."""
    fields = form(office.get(f"{path}/edit").text) | {
        k.replace("__", "."): v for k, v in changes.items()
    }
    answer = office.send(f"{path}/edit", **fields)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def publish(office: Office, path: str, **fields: str) -> Any:
    seen = re.search(r'name="seen" value="([^"]*)"', office.get(path).text)
    assert seen
    return office.send(f"{path}/publish", **{"sure": "1", "seen": seen[1], **fields})


def rows(office: Office) -> Any:
    return office.edge.rows(select(revisions).order_by(revisions.c.id))


@pytest.fixture
def hr(office: Office) -> Office:
    office.enter("hr")
    return office


def test_who_may_open_it(office: Office) -> None:
    for who, status in (
        ("hr", 200),
        ("hr1", 200),
        ("approver", 403),
        ("privacy", 403),
        ("admin", 403),
    ):
        office.enter(who)
        for path in ("/console/content", QUESTION, f"{QUESTION}/history"):
            assert office.get(path).status_code == status, (who, path)
    office.leave()
    assert office.get("/console/content").status_code == 303


def test_an_officer_of_one_division_looks_and_changes_nothing(office: Office) -> None:
    office.enter("hr")
    page = draft(office, QUESTION, note="x", stem__th="ใหม่")
    assert "Name-hr" in office.get(page).text.partition("<main")[2]
    office.enter("hr1")
    for path in (page, "/console/content", f"{QUESTION}/history", QUESTION):
        assert not re.search(r"Name-hr(?!\d)", office.get(path).text), "who works elsewhere"
    step, sketch = office.get("/console/content/step/know").text, office.get(page).text
    assert "คนอยู่ที่ขั้นนี้" not in step, "a figure of other divisions"
    assert "คนกำลังทำรายการนี้" not in sketch
    assert "/edit" not in office.get(QUESTION).text
    assert office.get(f"{QUESTION}/edit").status_code == 403
    for path, fields in (
        (f"{QUESTION}/edit", {"stem.th": "x"}),
        (f"{QUESTION}/withdraw", {"sure": "1"}),
        (f"{page}/publish", {"sure": "1", "seen": "x"}),
        (f"{page}/drop", {"seen": "x"}),
    ):
        assert office.send(path, **fields).status_code == 403, path
    assert [row.status for row in rows(office)] == ["draft"]


def test_every_kind_is_listed_filtered_and_sorted(hr: Office) -> None:
    for kind in ("question", "lesson", "exercise", "step", "copy"):
        assert hr.get(f"/console/content?kind={kind}").status_code == 200
    found = hr.get("/console/content?kind=question&area=security&sort=-key").text
    keys = re.findall(r">(security-\d+)</a>", found)
    assert keys == sorted(keys, reverse=True)
    assert len(keys) >= 6
    assert "computer-01<" not in found
    assert "computer-01<" in hr.get("/console/content?q=computer-01").text
    assert hr.get("/console/content?kind=copy&q=menu").status_code == 200
    for odd in ("kind=sentence", "kind=setting"):
        assert hr.get(f"/console/content?{odd}").status_code == 404
    for odd in (
        "page=999999999",
        "page=-1",
        "sort=nothing",
        "state=x",
        "area=%00",
        "q=" + "x" * 4000,
    ):
        assert hr.get(f"/console/content?{odd}").status_code == 200, odd


@pytest.mark.parametrize(
    "path",
    [
        "question/computer-99",
        "question/nowhere",
        "nothing/computer-01",
        "setting/dpo",
        "copy/no_such",
        "step/seven",
        "method/other",
        "draft/99999",
        "draft/99999999999999999999999",
        "question/computer-99/history",
        "question/computer-99/edit",
        "question/%00/edit",
        "question/%00/history",
        "question/" + "x" * 900 + "/history",
    ],
)
def test_what_is_not_there_is_not_found(hr: Office, path: str) -> None:
    assert hr.get(f"/console/content/{path}").status_code == 404


@pytest.mark.parametrize(
    "path", ["question/computer-01", "lesson/computer-l1", "exercise/computer-x1", "step/know",
             "copy/quiz_right", "method/method"],
)  # fmt: skip
def test_each_kind_is_shown_and_edited_as_it_stands(hr: Office, path: str) -> None:
    """What the form holds is the entry: nothing is lost on the way."""
    kind, key = path.split("/")
    shown = hr.get(f"/console/content/{path}")
    assert shown.status_code == 200
    fields = form(hr.get(f"/console/content/{path}/edit").text)
    answer = hr.send(f"/console/content/{path}/edit", **fields)
    assert answer.status_code == 422, "nothing has changed"
    assert rows(hr) == []
    assert kind in ("method", "step") or key in shown.text


def test_a_lesson_is_shown_with_its_pictures(hr: Office) -> None:
    text = hr.get("/console/content/lesson/computer-l1").text
    for lang in ("th", "en"):
        assert text.count(f'<img src="/console/content/pictures/backup-321/{lang}" alt="') == 2
        png = hr.get(f"/console/content/pictures/backup-321/{lang}")
        assert png.headers["content-type"] == "image/png"
        assert png.content.startswith(b"\x89PNG")
    assert hr.get("/console/content/pictures/nothing/th").status_code == 404


def test_a_lesson_names_a_picture_that_there_is(hr: Office) -> None:
    """The field of each message offers all pictures; another name is refused beside it."""
    fields = form(hr.get("/console/content/lesson/computer-l1/edit").text)
    assert fields["messages.2.picture"] == "backup-321"
    assert fields["messages.1.picture"] == ""
    fields["messages.2.picture"] = "backup-123"
    answer = hr.send("/console/content/lesson/computer-l1/edit", **fields)
    assert answer.status_code == 422
    assert "backup-123" in answer.text
    assert rows(hr) == []
    fields["messages.2.picture"] = ""
    assert hr.send("/console/content/lesson/computer-l1/edit", **fields).status_code == 303
    assert "picture" not in str(rows(hr)[0].body)


def test_a_question_is_shown_on_each_channel_in_both_languages(hr: Office) -> None:
    text = hr.get(QUESTION).text
    question = hr.edge.app.content.question("computer-01")
    for lang in ("th", "en"):
        assert text.count(question.stem.of(lang)) >= 2  # type: ignore[arg-type]
        assert question.options[0].of(lang).feedback in text  # type: ignore[arg-type]
    assert question.source.title in text


def test_from_a_draft_to_the_learner_and_back(hr: Office) -> None:
    app, before = hr.edge.app, hr.edge.app.content
    page = draft(hr, "/console/content/copy/quiz_right", en="Quite right! {why}", th="ถูกต้อง {why}")
    assert app.content is before, "a draft is nothing yet"
    text = hr.get(page).text
    assert "<ins>" in text
    assert "<del>" in text
    assert "simulator?draft=" in text

    refused = publish(hr, page, sure="")
    assert refused.status_code == 422
    assert app.content is before
    answer = publish(hr, page)
    assert answer.headers["location"] == "/console/content/copy/quiz_right"
    assert app.content.copy_["en"]["quiz_right"] == "Quite right! {why}"
    assert app.dispatcher._content is app.content
    assert app.sender._content is app.content

    history = hr.get("/console/content/copy/quiz_right/history").text
    assert "<ins>" in history
    answer = hr.send("/console/content/copy/quiz_right/withdraw", sure="1")
    assert answer.status_code == 303
    assert app.content.copy_ == before.copy_
    assert [row.status for row in rows(hr)] == ["withdrawn"]
    actions = [row.action for row in hr.edge.rows(select(audit))]
    assert actions[-2:] == ["content_published", "content_withdrawn"]


def test_a_draft_is_tried_in_the_simulator_before_anybody_meets_it(hr: Office) -> None:
    page = draft(hr, "/console/content/copy/hello", en="Hello from the draft", th="Sawasdee draft")
    (row,) = rows(hr)
    assert f"simulator?draft={row.id}" in hr.get(page).text
    fields = {"persona": "DEMO-014", "place": "fresh", "channel": "line", "lang": "th",
              "nudges": "1", "date": "2026-12-01", "time": "10:00"}  # fmt: skip
    for tried in (str(row.id), ""):
        html = hr.get(f"/console/simulator?draft={tried}").text
        assert ('name="draft"' in html) == bool(tried)
        begun = hr.send("/console/simulator", draft=tried, **fields)
        path = begun.headers["location"].partition("#")[0]
        seen = re.search(r'name="version" value="(\d+)"', hr.get(path).text)
        assert seen
        hr.send(path, do="follow", version=seen[1])
        assert ("Sawasdee draft" in hr.get(path).text) == bool(tried)
    for wrong in ("0", "999", "x", "9" * 30):
        assert hr.get(f"/console/simulator?draft={wrong}").status_code == 404
    hr.enter("approver")
    assert hr.get(f"/console/simulator?draft={row.id}").status_code == 403


def test_publishing_takes_the_password_again(hr: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.offices import forward

    page = draft(hr, QUESTION, stem__th="ใหม่")
    forward(hr, monkeypatch, minutes=10)
    answer = publish(hr, page)
    assert "/console/prove" in answer.headers["location"]
    assert "draft" in answer.headers["location"]
    assert [row.status for row in rows(hr)] == ["draft"]


def test_another_right_answer_makes_another_question(hr: Office) -> None:
    state = '{"seed":1,"floor":{"flow":"quiz","note":{"question":"computer-01"}}}'
    values = {"channel": "web", "address": "x", "state": state}
    hr.run(lambda conn, now: conn.execute(learners.insert().values(created_at=now, **values)))
    right = hr.edge.app.content.question("computer-01").right
    other = str(1 if right else 2)
    page = draft(hr, QUESTION, right=other)
    shown = hr.get(page).text
    assert "computer-01v2" in shown
    assert "1 คน" in shown

    assert publish(hr, page).headers["location"].endswith("/computer-01v2")

    content = hr.edge.app.content
    assert content.question("computer-01").retired
    assert content.question("computer-01").right == right, "for whoever is in the middle"
    assert content.question("computer-01v2").right == int(other) - 1
    assert hr.get(f"{QUESTION}/edit").status_code == 404, "what stands in for it is edited"
    assert "computer-01v2" in hr.get(QUESTION).text
    hr.send("/console/content/question/computer-01v2/withdraw", sure="1")
    content = hr.edge.app.content
    assert not content.question("computer-01").retired
    assert content.question("computer-01v2").retired


def test_an_agency_adds_questions_of_its_own(hr: Office) -> None:
    path = "/console/content/question/computer-a1"
    assert f"{path}/edit" in hr.get("/console/content?area=computer").text
    assert hr.send(f"{path}/edit").status_code == 422
    assert hr.get("/console/content/question/computer-a2/edit").status_code == 404
    assert hr.get("/console/content/question/nowhere-a1/edit").status_code == 404
    fields = form(hr.get(f"{QUESTION}/edit").text)
    answer = hr.send(f"{path}/edit", **fields | {"stem.th": "คำถามของกรม"})
    assert answer.status_code == 303, answer.text
    page = answer.headers["location"]
    assert "computer-a2/edit" in hr.get("/console/content?area=computer").text
    assert form(hr.get(f"{path}/edit").text)["stem.th"] == "คำถามของกรม"
    assert publish(hr, page).headers["location"] == path
    content = hr.edge.app.content
    assert content.question("computer-a1").stem.th == "คำถามของกรม"
    assert not content.question("computer-01").retired
    hr.send(f"{path}/withdraw", sure="1")
    assert hr.edge.app.content.question("computer-a1").retired


def test_an_author_may_say_that_the_substance_changed(hr: Office) -> None:
    draft(hr, QUESTION, stem__th="ใหม่", another="1")
    assert [row.key for row in rows(hr)] == ["computer-01v2"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stem.th", ""),
        ("stem.en", "x" * 1600),
        ("right", ""),
        ("right", "6"),
        ("option.1.th.text", ""),
        ("option.2.en.feedback", "y" * 401),
        ("sub_skill", "cooking"),
        ("dimension", "nothing"),
        ("difficulty", "hard"),
        ("difficulty", "nan"),
        ("difficulty", "9"),
        ("groups", "nobody"),
        ("source.title", ""),
        ("source.url", "javascript:alert(1)"),
        ("source.certainty", "Z"),
        ("source.date", "31/12/2569"),
        ("review_by", "soon"),
        ("note", "n" * 301),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(hr: Office, field: str, value: str) -> None:
    fields = form(hr.get(f"{QUESTION}/edit").text)
    answer = hr.send(f"{QUESTION}/edit", **fields | {"stem.en": "typed by somebody", field: value})
    assert answer.status_code == 422
    assert 'class="fault"' in answer.text
    if field not in ("groups", "right") and not field.startswith("option"):
        assert f'id="{field}-fault"' in answer.text
    assert field == "stem.en" or "typed by somebody" in answer.text, "what was typed is kept"
    assert rows(hr) == []


@pytest.mark.parametrize(
    "sentence",
    [
        *("", "  ", "no gap", "{why} {other}", "{why.__class__}", "{why!r}", "{why", "}", "{0}"),
        *("{why:>99999999}", "x" * 2000 + "{why}"),
    ],
)
def test_a_sentence_fills_in_what_it_did(hr: Office, sentence: str) -> None:
    fields = form(hr.get("/console/content/copy/quiz_right/edit").text)
    answer = hr.send("/console/content/copy/quiz_right/edit", **fields | {"th": sentence})
    assert answer.status_code == 422
    assert 'id="th-fault"' in answer.text


def test_two_who_edit_at_once_do_not_overwrite_each_other(hr: Office) -> None:
    fields = form(hr.get(f"{QUESTION}/edit").text)
    draft(hr, QUESTION, stem__th="ของคนแรก")
    answer = hr.send(f"{QUESTION}/edit", **fields | {"stem.th": "ของคนที่สอง"})
    assert answer.status_code == 422
    assert "ของคนที่สอง" in answer.text
    assert "ของคนแรก" in rows(hr)[0].body
    again = form(answer.text)
    assert hr.send(f"{QUESTION}/edit", **again).status_code == 303, "sent on purpose"
    assert "ของคนที่สอง" in rows(hr)[0].body


def test_a_draft_that_changed_meanwhile_is_not_published_or_dropped(hr: Office) -> None:
    page = draft(hr, QUESTION, stem__th="หนึ่ง")
    for act in ("publish", "drop"):
        answer = hr.send(f"{page}/{act}", sure="1", seen="another")
        assert answer.status_code == 422, act
    assert [row.status for row in rows(hr)] == ["draft"]
    seen = re.search(r'name="seen" value="([^"]*)"', hr.get(page).text)
    assert seen
    assert hr.send(f"{page}/drop", seen=seen[1]).status_code == 303
    assert rows(hr) == []
    assert hr.get(page).status_code == 404
    assert hr.send(f"{page}/drop", seen=seen[1]).status_code == 404


def test_a_button_that_is_too_long_is_refused(hr: Office) -> None:
    fields = form(hr.get("/console/content/copy/choice_begin/edit").text)
    answer = hr.send("/console/content/copy/choice_begin/edit", **fields | {"en": "x" * 21})
    assert answer.status_code == 422
    assert 'id="en-fault"' in answer.text


def test_steps_are_the_projects_until_they_are_marked(hr: Office) -> None:
    publish(hr, draft(hr, "/console/content/step/know", name__th="รู้ตน", name__en="Know"))
    assert hr.edge.app.content.method.steps[0].name.en == "Know"
    assert hr.edge.app.content.method.status == "default"
    path = "/console/content/method/method"
    publish(hr, draft(hr, path, status="official", label__th="ถ้อยคำของกรม", label__en="Ours"))
    method = hr.edge.app.content.method
    assert (method.status, method.label.en) == ("official", "Ours")
    assert entry(hr.edge.app.shelf.files, "method", "method") != {"status": "official"}


def test_what_officers_write_does_not_run(hr: Office) -> None:
    page = draft(hr, QUESTION, stem__th="<script>x</script>", note="<b>n</b>")
    for path in (page, f"{QUESTION}/edit", f"{QUESTION}/history", "/console/content"):
        text = hr.get(path).text
        assert "<script>x" not in text
        assert "<b>n" not in text


def in_the_middle(office: Office, question: str) -> None:
    """A learner in the web chat who has this question of a quiz open."""
    app = office.edge.app
    state = {"seed": 7, "lang": "en", "welcomed": True, "stamp": 3, "notice": "x"}
    state["heard_at"] = state["asked_at"] = app.clock()
    note = {"area": "computer", "question": question, "asked": [], "right": 0}
    state["floor"] = {"flow": "quiz", "place": "question", "note": note}
    values = {"channel": "web", "address": "x", "state": encode(state).decode()}

    def put(conn: Any, now: Any) -> None:
        made = conn.execute(learners.insert().values(created_at=now, **values))
        id = made.inserted_primary_key[0]
        where = {"channel": "web", "address": "x", "learner_id": id, "created_at": now}
        conn.execute(addresses.insert().values(**where))

    office.run(put)


def answer(office: Office, choice: int) -> str:
    """That learner answers; what is said to them."""
    call: Any = office.edge.client.portal.call  # type: ignore[union-attr]
    app = office.edge.app
    event = Incoming("web", "", "e1", "x", Pressed("3", str(choice)), app.clock())
    call(app.dispatcher.submit, [event])
    query = select(outbox.c.payload).where(outbox.c.address == "x").order_by(outbox.c.id)
    return " ".join(row.payload for row in office.edge.rows(query))


def test_a_learner_meets_it_in_the_next_message(hr: Office) -> None:
    """And whoever is in the middle of a question that was replaced finishes that one."""
    in_the_middle(hr, "computer-01")
    question = hr.edge.app.content.question("computer-01")
    publish(hr, draft(hr, QUESTION, right="1" if question.right else "2"))
    publish(hr, draft(hr, "/console/content/copy/quiz_right", en="Quite so! {why}"))

    said = answer(hr, question.right)

    assert "Quite so!" in said
    fact = hr.edge.rows(select(facts).where(facts.c.kind == "answered"))[-1]
    assert '"question":"computer-01"' in fact.data
    assert '"right":true' in fact.data


def test_what_another_process_published_holds_from_the_next_batch(either: Office) -> None:
    """Even if it has not looked since: a learner may come here from that process."""
    app = either.edge.app
    if app.db.sqlite:  # there is no other process
        return
    in_the_middle(either, "computer-01")
    body, scope = {"th": "ใช่ {why}", "en": "Quite so! {why}"}, Scope(None, (Right("editor"),))
    base = digest(entry(app.shelf.files, "copy", "quiz_right"))
    other = Database(either.edge.url)
    with other.write() as conn:
        draft = Draft("copy", "quiz_right", "quiz_right", body, base)
        id = storage_revisions.save(conn, scope, draft, "", app.clock())
        seen = storage_revisions.version_of(storage_revisions.find(conn, id))
        storage_revisions.publish(conn, scope, id, seen, 0, app.clock())
    other.close()

    assert "Quite so!" in answer(either, app.content.question("computer-01").right)


def test_advice_on_words_holds_nobody_up(hr: Office) -> None:
    """What the lint of the bank says of a draft's words stands beside it; it can be published."""
    page = draft(hr, QUESTION, stem__th="ส่งอีเมล์อย่างไรดี ข้อใดไม่ควรทำ")
    text = hr.get(page).text

    assert "“อีเมล์” ต้องเขียนว่า “อีเมล”" in text
    assert "ควรถามหาข้อที่ถูก" in text
    assert f"{page}/publish" in text
    plain = draft(hr, "/console/content/question/computer-02", stem__th="ทำอย่างไรดี")
    assert "ข้อแนะนำเรื่องถ้อยคำ" not in hr.get(plain).text
