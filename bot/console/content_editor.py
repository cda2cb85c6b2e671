"""Wording an entry anew: the draft, what the lint says of it, publishing, history, differences."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection
from starlette.responses import Response

from bot.console.content import KINDS, called, kind_of, may_edit, named, past, sight
from bot.console.pages import Page, Visit
from bot.content_fields import NAMES, SLOTS, field_of, flatten, groups, label, options_of
from bot.drafting import Room, ids_of, made_from, terms
from bot.errors import BadRequest
from content.bank import remarks
from content.lint import Problem
from content.overlay import (
    ITEMS,
    Body,
    Kind,
    Misfit,
    Revised,
    entry,
    faults,
    fresh,
    overlay,
    problems,
    with_draft,
)
from content.schema import Content, Item, area_of
from flows.text import clean, differences
from storage import revisions
from storage.revisions import Missing, Stale
from storage.scope import Denied

LONGEST = 64
"""Letters of a key."""

# --- from a form to a draft ------------------------------------------------------------


def require(visit: Visit) -> None:
    if not may_edit(visit.scope):
        raise Denied("content")


def room(visit: Visit) -> Room:
    return Room(visit.app.shelf.files, visit.app.content, visit.lang)


async def edit(visit: Visit) -> Response:
    """The form: the open draft if there is one, else the entry as it stands, if it does."""
    kind, key, draft = await _editable(visit)
    there = revisions.as_revised(draft).body if draft else entry(visit.app.content, kind, key)
    seen = revisions.version_of(draft) if draft else ""
    note = draft.note if draft else ""
    return _form(visit, kind, key, flatten(kind, there or {}), seen, note)


async def _editable(visit: Visit) -> tuple[Kind, str, Any]:
    """The entry that the address names, and its open draft. There is such an entry, or a draft of
    it, or it is the next one of the agency's own in an area."""
    kind, key = known(visit)
    require(visit)
    draft, drafted = await visit.read(
        lambda conn: (
            revisions.draft_of(conn, kind, key),
            revisions.keys_with(conn, kind, "draft"),
        )
    )
    if draft is None and key != next_own(visit.app.content, kind, area_of(key), drafted):
        named(visit)
    refuse_retired(visit.app.content, kind, key)
    return kind, key, draft


def next_own(content: Content, kind: Kind, area: str, drafted: Iterable[str]) -> str:
    """The id that a new item of an area gets; empty where there can be none."""
    if kind not in ITEMS or area not in getattr(content, ITEMS[kind][0]):
        return ""
    return fresh(kind, area, [*drafted, *ids_of(content, kind, area + "-")])


def refuse_retired(content: Content, kind: Kind, key: str) -> None:
    """What stands in for it can be worded anew, or nothing."""
    if kind not in ITEMS:
        return
    shelf: dict[str, tuple[Item, ...]] = getattr(content, ITEMS[kind][0])
    if any(item.id == key and item.retired for item in shelf.get(area_of(key), ())):
        raise BadRequest(404, "not_found")


def _form(
    visit: Visit,
    kind: Kind,
    key: str,
    typed: Mapping[str, str],
    seen: str,
    note: str,
    wrong: Mapping[str, str] | None = None,
    *,
    stale: bool = False,
    another: bool = False,
) -> Response:
    content, words, lang = visit.app.content, visit.words, visit.lang
    gaps = entry(visit.app.shelf.files, kind, key) if kind == "copy" else None
    there = entry(content, kind, key) is not None
    return visit.show(
        "content_edit",
        422 if wrong or stale else 200,
        kind=kind,
        key=key,
        title=words["content_edit_title"].format(name=called(visit, kind, key)),
        groups=groups(kind, key, typed, content, lang, words),
        typed=typed,
        chosen=[each.strip() for each in typed.get("groups", "").split(",")],
        wrong=wrong or {},
        labels={name: label(name, words) for name in wrong or {} if name != "note"},
        seen=seen,
        note=note,
        stale=stale,
        another=another,
        item=kind in ITEMS,
        there=there,
        up=f"/console/content/{kind}/{key}" if there else f"/console/content?kind={kind}",
        original=gaps,
    )


async def save(visit: Visit) -> Response:
    """Keep what was typed as the draft; what is wrong is said beside its field."""
    kind, key, _ = await _editable(visit)
    typed = typed_in(visit, kind)
    note, seen = visit.said("note"), visit.said("seen")
    another = bool(visit.said("another"))
    wanted = made_from(room(visit), kind, key, typed, note, another=another)
    wrong = dict(wanted.faults)
    if len(note) > revisions.NOTE:
        wrong["note"] = visit.words["field_too_long"].format(most=revisions.NOTE)
    if wrong or wanted.draft is None:
        return _form(visit, kind, key, typed, seen, note, wrong, another=another)
    draft, scope = wanted.draft, visit.scope
    try:
        id = await visit.write(lambda conn, now: revisions.save(conn, scope, draft, seen, now))
    except Stale:
        there = await visit.read(lambda conn: revisions.draft_of(conn, kind, key))
        seen = revisions.version_of(there) if there else ""
        return _form(visit, kind, key, typed, seen, note, stale=True, another=another)
    return visit.go(f"content/draft/{id}", visit.words["content_saved"])


def typed_in(visit: Visit, kind: Kind) -> dict[str, str]:
    """The fields of the form. Spaces around a sentence of the copy belong to it."""
    made = {}
    for name in NAMES[kind]:
        if name == "groups":
            made[name] = ", ".join(visit.form.many(name))
            continue
        value = clean(visit.form.one(name))
        made[name] = value if kind == "copy" else value.strip()
    return made


# --- the draft -------------------------------------------------------------------------


async def _find(visit: Visit) -> Any:
    id = visit.request.path_params["id"]
    try:
        if id >= 1 << 62:
            raise Missing(id)
        row = await visit.read(lambda conn: revisions.find(conn, id))
    except Missing:
        raise BadRequest(404, "not_found") from None
    if row.kind not in KINDS:
        raise BadRequest(404, "not_found")
    return row


class Checked(NamedTuple):
    """What a draft would make of everything, and what the lint says of that."""

    content: Content | None
    against: list[str]
    edition: int
    advice: list[str] = []  # noqa: RUF012 (never changed)


def check(visit: Visit, draft: Revised) -> Any:
    """A query: lay the draft over all that is published, and let the lint look at the whole."""
    files, words = visit.app.shelf.files, visit.words

    def look(conn: Connection) -> Checked:
        edition, rows = revisions.newest(conn), list(revisions.standing(conn))
        others = [row for row in rows if (row.kind, row.key) != (draft.kind, draft.key)]
        laid = overlay(files, [*others, draft])
        why = next((why for row, why in laid.left if row is draft), "")
        if why:
            missing = _missing(visit, draft) if why == "shape" else []
            return Checked(None, missing or [words["content_left_" + why]], edition)
        against = [fault.what for fault in faults(laid.content)]
        return Checked(laid.content, against, edition, _advice(visit, draft))

    return look


def _missing(visit: Visit, draft: Revised) -> list[str]:
    """What must be filled in or mended before it can be an entry at all, field by field."""
    found = problems(draft, visit.app.shelf.files)
    return list(dict.fromkeys(_told(visit, draft, problem) for problem in found))


def _advice(visit: Visit, draft: Revised) -> list[str]:
    """What the lint of the bank says of its words. It holds nobody up: an agency knows its own."""
    if draft.kind not in ITEMS:
        return []
    item = ITEMS[draft.kind][1].model_validate(draft.body)
    return [_told(visit, draft, problem) for problem in remarks(item, terms())]


def _told(visit: Visit, draft: Revised, problem: Problem) -> str:
    places = list(range(1, SLOTS + 1))
    name = label(field_of(draft.kind, problem, places), visit.words)
    return f"{name}: {problem.text(visit.lang, visit.app.content)}"


async def draft(visit: Visit) -> Response:
    """What a draft changes, how it reads, what the lint says, how many people it meets."""
    row = await _find(visit)
    if row.status != "draft":
        return visit.go(f"content/{row.kind}/{row.origin}/history")
    return await _draft_shown(visit, row)


async def _draft_shown(
    visit: Visit, row: Any, status: int = 200, *, stale: bool = False, unsure: bool = False
) -> Response:
    made = revisions.as_revised(row)
    checked: Checked = await visit.read(check(visit, made))
    may = may_edit(visit.scope)
    people = (
        await visit.read(lambda conn: revisions.people_at(conn, row.kind, row.origin))
        if may
        else None
    )
    try:
        seen_by = sight(with_draft(visit.app.content, made), made.kind, made.key, visit.lang)
    except Misfit:
        seen_by = []
    before = entry(visit.app.content, row.kind, row.origin)
    words = visit.words
    return visit.show(
        "content_draft",
        status,
        row=past(visit, row),
        kind=row.kind,
        origin=row.origin,
        key=row.key,
        title=words["content_draft_title"].format(name=called(visit, row.kind, row.origin)),
        changes=compared(visit, made.kind, row.origin, before or {}, made.body),
        against=checked.against,
        advice=checked.advice,
        edition=checked.edition,
        seen=revisions.version_of(row),
        sight=seen_by,
        people=people,
        another=row.key != row.origin,
        there=before is not None,
        stale=stale,
        unsure=unsure,
        may=may,
    )


async def publish(visit: Visit) -> Response:
    """Let learners meet it, if the lint has nothing against it and the officer is sure."""
    row = await _find(visit)
    require(visit)
    if not visit.proved:  # and then back to this very draft, which is kept
        return visit.ask_proof(f"content/draft/{row.id}")
    if row.status != "draft":
        return visit.go(f"content/{row.kind}/{row.origin}/history", visit.words["content_no_draft"])
    if not visit.said("sure"):
        return await _draft_shown(visit, row, 422, unsure=True)
    checked: Checked = await visit.read(check(visit, revisions.as_revised(row)))
    if checked.against:
        return await _draft_shown(visit, row, 422)
    id, scope, seen, edition = row.id, visit.scope, visit.said("seen"), checked.edition
    try:
        await visit.write(lambda conn, now: revisions.publish(conn, scope, id, seen, edition, now))
    except (Stale, Missing):
        row = await _find(visit)
        return await _draft_shown(visit, row, 422, stale=True)
    await visit.read(visit.app.shelf.look)
    return visit.go(f"content/{row.kind}/{row.key}", visit.words["content_published"])


async def drop(visit: Visit) -> Response:
    """Throw the draft away."""
    row = await _find(visit)
    require(visit)
    id, scope, seen = row.id, visit.scope, visit.said("seen")
    try:
        await visit.write(lambda conn, now: revisions.drop(conn, scope, id, seen, now))
    except Stale:
        row = await _find(visit)
        if row.status != "draft":
            return visit.go(f"content/{row.kind}/{row.origin}/history")
        return await _draft_shown(visit, row, 422, stale=True)
    except Missing:
        raise BadRequest(404, "not_found") from None
    return visit.go("content", visit.words["content_dropped"])


# --- history ---------------------------------------------------------------------------


def known(visit: Visit) -> tuple[Kind, str]:
    """An entry of the address that is there, or was once."""
    kind, key = kind_of(visit.request.path_params["kind"], KINDS), visit.request.path_params["key"]
    if "\x00" in key or len(key) > LONGEST:
        raise BadRequest(404, "not_found")
    return kind, key


async def history(visit: Visit) -> Response:
    """Who changed an entry and when; the differences between any two versions of it."""
    kind, key = known(visit)
    found = await visit.read(lambda conn: revisions.history(conn, kind, key))
    there = entry(visit.app.content, kind, key)
    if there is None and not found:
        raise BadRequest(404, "not_found")
    words = visit.words
    bodies, names = _versions(visit, kind, key, found)
    first, second = (
        next((each for each in bodies if each == visit.asked(name)), default)
        for name, default in (
            ("from", "files" if "files" in bodies else next(iter(bodies))),
            ("to", "now" if "now" in bodies else next(iter(bodies))),
        )
    )
    live = [row for row in found if row.status == "published" and row.key == key]
    return visit.show(
        "content_history",
        kind=kind,
        key=key,
        title=words["content_history_title"].format(name=called(visit, kind, key)),
        there=there is not None,
        history=[past(visit, row) for row in found],
        versions=list(names.items()),
        first=first,
        second=second,
        changes=compared(visit, kind, key, bodies[first], bodies[second]),
        live=bool(live) and may_edit(visit.scope),
        own=live[0].base == "" if live else False,
        left=[words["content_left_" + why] for row, why in visit.app.shelf.left
              if (row.kind, row.key) == (kind, key)],
    )  # fmt: skip


def _versions(
    visit: Visit, kind: Kind, key: str, found: Any
) -> tuple[dict[str, Body], dict[str, str]]:
    """Every version of an entry, and what each is called."""
    words = visit.words
    bodies: dict[str, Body] = {str(row.id): revisions.as_revised(row).body for row in found}
    names = {
        str(row.id): words["content_version"].format(n=row.number, key=row.key) for row in found
    }
    for id, content in (("files", visit.app.shelf.files), ("now", visit.app.content)):
        there = entry(content, kind, key)
        if there is not None:
            bodies[id], names[id] = there, words["content_version_" + id]
    return bodies, names


def compared(visit: Visit, kind: Kind, key: str, before: Body, after: Body) -> list[dict[str, Any]]:
    """Fields that differ, word by word."""
    words, made = visit.words, []
    old, new = flatten(kind, before), flatten(kind, after)
    for name in NAMES[kind]:
        if old[name] == new[name]:
            continue
        options = dict(options_of(kind, name, key, visit.app.content, visit.lang, words))
        pair = [options.get(each[name], each[name]) for each in (old, new)]
        lang = next((part for part in name.split(".") if part in ("th", "en")), "")
        pieces = differences(*pair)
        made.append({"label": label(name, words), "pieces": pieces, "lang": lang})
    return made


async def withdraw(visit: Visit) -> Response:
    """Back to how the files have it."""
    kind, key = known(visit)
    require(visit)
    if not visit.proved:
        return visit.ask_proof(f"content/{kind}/{key}/history")
    if not visit.said("sure"):
        return visit.go(f"content/{kind}/{key}/history", visit.words["content_unsure"])
    if key_is_replaced(visit.app.content, kind, key):
        return visit.go(f"content/{kind}/{key}/history", visit.words["content_replaced_already"])
    scope = visit.scope

    def look(conn: Connection) -> tuple[int, list[Any]]:
        rows = revisions.standing(conn)
        rest = [row for row in rows if (row.kind, row.key) != (kind, key)]
        gone = [row._replace(withdrawn=True) for row in rows
                if (row.kind, row.key, row.base) == (kind, key, "")]  # fmt: skip
        laid = overlay(visit.app.shelf.files, [*rest, *gone])
        return revisions.newest(conn), list(faults(laid.content))

    edition, against = await visit.read(look)
    if against:
        said = visit.words["content_needed"]
        return visit.go(f"content/{kind}/{key}/history", said)
    try:
        await visit.write(
            lambda conn, now: revisions.withdraw(conn, scope, kind, key, edition, now)
        )
    except Missing:
        raise BadRequest(404, "not_found") from None
    except Stale:
        return visit.go(f"content/{kind}/{key}/history", visit.words["content_moved_on"])
    await visit.read(visit.app.shelf.look)
    return visit.go(f"content/{kind}/{key}/history", visit.words["content_withdrawn"])


def key_is_replaced(content: Content, kind: Kind, key: str) -> bool:
    """Something stands in for it: that must be withdrawn first."""
    if kind not in ITEMS:
        return False
    items = getattr(content, ITEMS[kind][0]).get(area_of(key), ())
    return any(item.replaces == key and not item.retired for item in items)


PAGES = (
    Page("/content/draft/{id:int}", draft, ("content",), place="content"),
    Page("/content/draft/{id:int}/publish", publish, ("content",), "POST", place="content"),
    Page("/content/draft/{id:int}/drop", drop, ("content",), "POST", place="content"),
    Page("/content/{kind:str}/{key:str}/edit", edit, ("content",), place="content"),
    Page("/content/{kind:str}/{key:str}/edit", save, ("content",), "POST", place="content"),
    Page("/content/{kind:str}/{key:str}/history", history, ("content",), place="content"),
    Page("/content/{kind:str}/{key:str}/withdraw", withdraw, ("content",), "POST", place="content"),
)
