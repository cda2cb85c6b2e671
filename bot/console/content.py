"""The content room: every question, lesson, exercise, step and sentence, and how it reads."""

from datetime import date, timedelta
from typing import Any

from msgspec import Struct
from msgspec.json import decode
from sqlalchemy import Connection, select
from starlette.responses import Response

from bot.channels import line, telegram
from bot.channels.keyboard import rows as keyboard_rows
from bot.channels.parts import clip
from bot.console import tables
from bot.console.pages import Page, Visit
from bot.console.tables import Column
from bot.content_fields import label
from bot.errors import BadRequest
from content.overlay import ITEMS, METHOD, Kind, digest, entry, fresh
from content.schema import LANGS, Content, Gone, Item, Lang, Question, area_of
from flows import reports as said
from flows.calendar import local
from flows.lesson import drawn
from flows.preview import shown
from flows.text import long_date, short_date
from flows.types import Reply
from storage import revisions
from storage.itemstats import Sums
from storage.models import item_stats
from storage.reports.items import flags
from storage.scope import Power, Scope

SHELVES: tuple[Kind, ...] = ("question", "lesson", "exercise", "step", "copy")
"""Kinds in the list, in the order of their tabs."""
STATES = ("changed", "draft", "due", "retired")
SOON = timedelta(days=30)
"""A source is due for review so long before its day."""
PICTURES = "/console/content/pictures"
CHANNELS = {"line": line.pack, "telegram": telegram.pack}


class Entry(Struct, frozen=True):
    """One row of the list."""

    key: str
    title: str
    area: str = ""
    review: date | None = None
    retired: bool = False
    states: frozenset[str] = frozenset()
    sums: Sums | None = None


# --- the list --------------------------------------------------------------------------


async def index(visit: Visit) -> Response:
    """The entries of a kind: filtered, sorted, turned."""
    kind = kind_of(visit.asked("kind") or "question", SHELVES)
    scope = visit.scope

    def look(conn: Connection) -> dict[str, Any]:
        drafted = revisions.keys_with(conn, kind, "draft")
        return {
            "drafted": drafted,
            "entries": _entries(conn, visit, kind, drafted),
            "drafts": revisions.drafts(conn, most=tables.PAGE),
        }

    found = await visit.read(look)
    entries = _sorted(visit, [each for each in found["entries"] if _wanted(each, visit)])
    start = tables.offset(visit)
    rows, turned = tables.turn(visit, entries[start:])
    asked = tables.known(visit)
    return visit.show(
        "content",
        kind=kind,
        kinds=[(each, visit.words["content_kind_" + each]) for each in SHELVES],
        asked=asked,
        areas=areas(visit),
        states=[(each, visit.words["content_state_" + each]) for each in STATES],
        heads=tables.heads(visit, _columns(visit, kind)),
        rows=[_cells(visit, kind, each) for each in rows],
        many=len(entries),
        turned=turned,
        drafts=[_draft(visit, row) for row in found["drafts"] if row.kind != "setting"],
        left=[_left(visit, row, why) for row, why in visit.app.shelf.left],
        official=visit.app.content.method.status == "official",
        may=may_edit(scope),
        new=_new(visit, kind, found["drafted"]) if may_edit(scope) else [],
    )


def _new(visit: Visit, kind: Kind, drafted: set[str]) -> list[dict[str, str]]:
    """Where an item of the agency's own is begun: in the area that is shown, or in any."""
    if kind not in ITEMS:
        return []
    made = []
    shelf = getattr(visit.app.content, ITEMS[kind][0])
    for area, name in areas(visit):
        if visit.asked("area") in ("", area) and area in shelf:  # topics have questions only
            items = shelf[area]
            key = fresh(kind, area, [*drafted, *(item.id for item in items)])
            made.append({"path": f"/console/content/{kind}/{key}/edit", "name": name})
    return made


def kind_of(asked: str, known: tuple[Kind, ...]) -> Kind:
    kind = next((each for each in known if each == asked), None)
    if kind is None:
        raise BadRequest(404, "not_found")
    return kind


def called(visit: Visit, kind: str, key: str) -> str:
    """An entry's name in a sentence."""
    one = visit.words["content_one_" + kind]
    return one if kind == "method" else f"{one} {key}"


def may_edit(scope: Scope) -> bool:
    """Content is the whole agency's."""
    return scope.whole("content")


def areas(visit: Visit) -> list[tuple[str, str]]:
    return [(each.id, each.name.of(visit.lang)) for each in visit.app.content.subjects]


def _entries(conn: Connection, visit: Visit, kind: Kind, drafted: set[str]) -> list[Entry]:
    """Every entry of a kind, in the order of the files."""
    content, lang = visit.app.content, visit.lang
    changed = revisions.keys_with(conn, kind, "published")
    today = local(visit.app.clock()).date()

    def states(key: str, review: date | None = None, retired: bool = False) -> frozenset[str]:
        marks = {
            "changed": key in changed,
            "draft": key in drafted,
            "due": review is not None and not retired and review - SOON <= today,
            "retired": retired,
        }
        return frozenset(state for state, so in marks.items() if so)

    if kind == "copy":
        copy_ = content.copy_[lang]
        return [Entry(key, sentence, states=states(key)) for key, sentence in copy_.items()]
    if kind == "step":
        steps = content.method.steps
        return [Entry(step.id, step.name.of(lang), states=states(step.id)) for step in steps]
    kept = sums_of(conn) if kind == "question" else {}
    made = []
    for area, items in getattr(content, ITEMS[kind][0]).items():
        for item in items:
            review = item.review_by if isinstance(item, Question) else None
            marks = states(item.id, review, item.retired)
            title = title_of(item, visit)
            sums = kept.get(item.id)
            made.append(Entry(item.id, title, area, review, item.retired, marks, sums))
    return made


def title_of(item: Item, visit: Visit) -> str:
    title = item.stem if isinstance(item, Question) else item.title  # type: ignore[attr-defined]
    return str(title.of(visit.lang))


def sums_of(conn: Connection, key: str = "") -> dict[str, Sums]:
    """What is known of questions, by their ids; of one alone."""
    wanted = select(item_stats.c.question, item_stats.c.data)
    if key:
        wanted = wanted.where(item_stats.c.question == key)
    found = {row.question: row.data for row in conn.execute(wanted)}
    return {name: decode(data, type=Sums) for name, data in found.items() if name}


def _wanted(each: Entry, visit: Visit) -> bool:
    area, state, typed = visit.asked("area"), visit.asked("state"), visit.asked("q").casefold()
    if area and each.area and each.area != area:
        return False
    if state in STATES and state not in each.states:
        return False
    if each.retired and state != "retired" and not typed:
        return False
    return not typed or typed in each.key or typed in each.title.casefold()


def _columns(visit: Visit, kind: Kind) -> list[Column]:
    words = visit.words
    made = [Column("key", words["content_key"]), Column("title", words["content_title_" + kind])]
    if kind in ITEMS:
        made.append(Column("area", words["content_area"]))
    made.append(Column("state", words["content_state"]))
    if kind == "question":
        made += [
            Column("review", words["content_review_short"]),
            Column("n", words["content_n"], number=True),
            Column("p", words["content_p"], number=True),
            Column("d", words["content_d"], number=True),
        ]
    return made


def _figures(each: Entry) -> tuple[int, float | None, float | None]:
    """Answers, the share that is right, and how well it tells people apart."""
    sums = each.sums
    if sums is None or not sums.n:
        return 0, None, None
    return sums.n, sums.right / sums.n, sums.discrimination


def _sorted(visit: Visit, entries: list[Entry]) -> list[Entry]:
    by, down = tables.order(visit, ("key", "title", "area", "state", "review", "n", "p", "d"))

    def value(each: Entry) -> Any:
        n, p, d = _figures(each)
        found = {"n": n, "p": p, "d": d, "state": " ".join(sorted(each.states)) or None}
        return found[by] if by in found else getattr(each, by)

    if not by:
        return entries
    known = [each for each in entries if value(each) is not None]
    return sorted(known, key=value, reverse=down) + [x for x in entries if value(x) is None]


def _cells(visit: Visit, kind: Kind, each: Entry) -> list[Any]:
    words, lang = visit.words, visit.lang
    title = clip(each.title, CUT)  # at a letter: words would take a second to learn
    cells: list[Any] = [{"text": each.key, "path": f"/console/content/{kind}/{each.key}"}, title]
    if kind in ITEMS:
        cells.append(visit.app.content.topic(each.area).name.of(lang))
    marks = [words["content_state_" + state] for state in STATES if state in each.states]
    cells.append(" · ".join(marks) or "–")
    if kind == "question":
        n, p, d = _figures(each)
        cells += [
            short_date(each.review, lang) if each.review else "–",
            f"{n:,}",
            "–" if p is None else f"{p:.0%}",
            "–" if d is None else f"{d:.2f}",
        ]
    return cells


CUT = 80
"""Letters of a title in the list."""


def _draft(visit: Visit, row: Any) -> dict[str, str]:
    return {
        "path": f"/console/content/draft/{row.id}",
        "name": called(visit, row.kind, row.key),
        "who": who(visit, row.author) or "–",
        "when": said.moment(row.at, visit.lang),
        "note": row.note,
    }


def _left(visit: Visit, row: Any, why: str) -> dict[str, str]:
    return {
        "path": f"/console/content/{row.kind}/{row.key}/history",
        "name": called(visit, row.kind, row.key),
        "why": visit.words["content_left_" + why],
    }


# --- one entry -------------------------------------------------------------------------

KINDS: tuple[Kind, ...] = (*SHELVES, "method")


def named(visit: Visit) -> tuple[Kind, str]:
    """The entry that the address names; there is such an entry."""
    kind = kind_of(visit.request.path_params["kind"], KINDS)
    key = visit.request.path_params["key"]
    if entry(visit.app.content, kind, key) is None or (kind == "method" and key != METHOD):
        raise BadRequest(404, "not_found")
    return kind, key


async def one(visit: Visit) -> Response:
    """An entry as learners see it, what is known of it, and what can be done with it."""
    kind, key = named(visit)
    content = visit.app.content

    def look(conn: Connection) -> dict[str, Any]:
        counts = kind == "step" and may_edit(visit.scope)
        return {
            "draft": revisions.draft_of(conn, kind, key),
            "history": revisions.history(conn, kind, key),
            "people": revisions.people_at(conn, kind, key) if counts else None,
            "sums": sums_of(conn, key).get(key) if kind == "question" else None,
        }

    found = await visit.read(look)
    item = _item(content, kind, key)
    retired = item is not None and item.retired
    successors = _successors(content, kind, key)
    published = any(row.status == "published" and row.key == key for row in found["history"])
    return visit.show(
        "content_one",
        kind=kind,
        key=key,
        title=called(visit, kind, key),
        heading=title_of(item, visit) if item is not None else "",
        facts=_facts(visit, kind, key, item),
        figures=_known(visit, item, found["sums"]),
        sight=sight(content, kind, key, visit.lang),
        people=found["people"],
        history=[past(visit, row) for row in found["history"]],
        draft=found["draft"].id if found["draft"] else None,
        retired=retired,
        successors=successors,
        published=published and not successors,
        may=may_edit(visit.scope),
    )


def _item(content: Content, kind: Kind, key: str) -> Item | None:
    if kind not in ITEMS:
        return None
    shelf = getattr(content, ITEMS[kind][0])
    found: Item = next(item for item in shelf[area_of(key)] if item.id == key)
    return found


def _successors(content: Content, kind: Kind, key: str) -> list[str]:
    """The items that stand in for this one now."""
    if kind not in ITEMS:
        return []
    items = getattr(content, ITEMS[kind][0])[area_of(key)]
    return [item.id for item in items if item.replaces == key]


def _facts(visit: Visit, kind: Kind, key: str, item: Any) -> list[dict[str, str]]:
    """Area, source and certainty, and what else is known of an entry."""
    words, lang, content = visit.words, visit.lang, visit.app.content
    made: list[dict[str, str]] = []

    def add(name: str, text: str, url: str = "") -> None:
        made.append({"name": name, "text": text, "url": url})

    if item is not None:
        add(words["content_area"], content.topic(area_of(key)).name.of(lang))
    if isinstance(item, Question):
        names = [content.group(group).name.of(lang) for group in item.groups]
        add(label("sub_skill", words), item.sub_skill)
        add(label("dimension", words), words["content_dimension_" + item.dimension])
        add(label("difficulty", words), f"{item.difficulty:+.1f}")
        add(label("groups", words), ", ".join(names) or words["content_all_groups"])
        right = item.options[item.right].of(lang).text
        add(label("right", words), f"{item.right + 1}. {right}")
    source = getattr(item, "source", None)
    if kind == "step":
        source = next(step.source for step in content.method.steps if step.id == key)
    if source is not None:
        add(label("source.title", words), source.title, str(source.url or ""))
        sure = words["content_sure_" + source.certainty]
        add(label("source.certainty", words), f"{source.certainty} – {sure}")
    if isinstance(item, Question):
        add(words["content_review"], long_date(item.review_by, lang))
    changed = digest(entry(visit.app.shelf.files, kind, key)) != digest(entry(content, kind, key))
    whose = "agency" if changed else "files"
    add(words["content_whose"], words["content_whose_" + whose])
    return made


def _known(visit: Visit, item: Any, sums: Sums | None) -> dict[str, Any] | None:
    """The figures of a question: how many answered, right, each option; what speaks against it."""
    if not isinstance(item, Question):
        return None
    if sums is None or not sums.n:
        return {"n": 0}
    places = [str(at) for at in range(len(item.options))]
    options = [
        {
            "text": option.of(visit.lang).text,
            "right": option.correct,
            "share": f"{sums.options.get(at, 0) / sums.n:.0%}",
            "wide": round(100 * sums.options.get(at, 0) / sums.n, 1),
        }
        for at, option in zip(places, item.options, strict=True)
    ]
    told = sums.discrimination
    labels, rules = visit.app.content.copy_[visit.lang], visit.app.content.reports.items
    return {
        "n": f"{sums.n:,}",
        "p": f"{sums.right / sums.n:.0%}",
        "d": "–" if told is None else f"{told:.2f}",
        "pairs": f"{sums.known:,}",
        "seconds": "–" if sums.seconds is None else f"{sums.seconds:.0f}",
        "options": options,
        "unsure": f"{sums.options.get('unsure', 0) / sums.n:.0%}",
        "flags": [labels["report_word_" + each] for each in flags(item, sums, rules)],
    }


def who(visit: Visit, name: str | None) -> str:
    """An officer's name, for those who are officers of the whole agency, too: whoever has a right
    over some units may not learn who works in others."""
    powers: tuple[Power, ...] = ("content", "roster", "system")
    whole = any(map(visit.scope.whole, powers))
    return (name or "") if whole else ""


def past(visit: Visit, row: Any) -> dict[str, Any]:
    """A revision in the history."""
    lang = visit.lang

    def when(name: str) -> str:
        moment = getattr(row, name)
        return said.moment(moment, lang) if moment else ""

    return {
        "id": row.id,
        "key": row.key,
        "number": row.number,
        "status": row.status,
        "state": visit.words["content_status_" + row.status],
        "author": who(visit, row.author) or "–",
        "at": when("at"),
        "publisher": who(visit, row.publisher),
        "published": when("published_at"),
        "withdrawer": who(visit, row.withdrawer),
        "withdrawn": when("withdrawn_at"),
        "note": row.note,
    }


# --- as a learner sees it --------------------------------------------------------------


def sight(content: Content, kind: Kind, key: str, mine: Lang) -> list[dict[str, Any]]:
    """The messages of an entry on each channel and in each language, cut and with buttons as they
    are sent; the first in one's own is open."""
    made: list[dict[str, Any]] = []
    for channel, pack in CHANNELS.items():
        for lang in LANGS:
            replies = shown(content, kind, key, lang)
            pieces = [piece for request in pack(replies) for piece in request]
            bubbles = [_bubble(channel, lang, piece) for piece in pieces]
            made.append(
                {
                    "channel": channel,
                    "lang": lang,
                    "bubbles": bubbles,
                    "open": not any(each["open"] for each in made) and lang == mine,
                }
            )
    return made


def _bubble(channel: str, lang: Lang, piece: Reply) -> dict[str, Any]:
    """LINE shows its buttons in one line below the keyboard, Telegram in rows under the message."""
    rows = keyboard_rows(piece) if channel == "telegram" else [list(piece.choices)]
    buttons = [[choice.label or choice.says for choice in row] for row in rows if row]
    picture = piece.picture
    source = f"{PICTURES}/{picture.data['id']}/{lang}" if picture else ""
    alt = picture.alt if picture else ""
    made = {"title": piece.title, "text": piece.text, "rows": buttons}
    return {**made, "picture": source, "alt": alt}


async def picture(visit: Visit) -> Response:
    """A picture of a lesson as it is sent."""
    asked = visit.request.path_params
    try:
        found = drawn(asked["id"], "en" if asked["lang"] == "en" else "th", visit.app.content)
    except Gone as error:
        raise BadRequest(404, "not_found") from error
    headers = {"Cache-Control": "private, max-age=300"}
    return Response(await visit.app.draw(found), media_type="image/png", headers=headers)


PAGES = (
    Page("/content", index, ("content",), place="content"),
    Page("/content/pictures/{id:str}/{lang:str}", picture, ("content",), place="content"),
    Page("/content/{kind:str}/{key:str}", one, ("content",), place="content"),
)
