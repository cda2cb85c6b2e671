"""Taking a roster over: bring a file, say what its columns are, look at what it would change, mend
what is refused, and agree. All of it is the desk's work (`bot/roster_desk.py`)."""

from datetime import date
from functools import partial
from typing import Any

from msgspec.json import decode
from sqlalchemy import Connection, select
from starlette.responses import Response

from bot.console import live
from bot.console.pages import Page, Visit
from bot.errors import BadRequest
from bot.roster_desk import SHOWN, Wanted
from bot.roster_uploads import Upload
from bot.sheets import Unreadable
from flows import reports as said
from flows.days import Unclear, read_day
from flows.roster import Refusal, find_layout, say_refusal
from flows.text import long_date
from storage import audit
from storage.models import imports, persons

MOST = 5 << 20
"""Bytes of a file."""
LAST = 10
"""Imports that are listed."""
TOLD = ("added", "changed", "moved", "returned", "left", "later", "units", "heads", "unchanged")
"""What a plan counts, in the order in which it is told."""
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


# --- bringing a file -----------------------------------------------------------------------


async def index(visit: Visit) -> Response:
    return await _begun(visit)


async def _begun(visit: Visit, fault: str = "") -> Response:
    """Where an import begins: one's own files that wait, a form for another, and the last ones."""
    whole, mine, rows = visit.scope.whole("roster"), list[Upload](), list[dict[str, Any]]()
    if whole:
        mine = visit.app.roster.uploads.waiting(visit.session.person_id)
        rows = await visit.read(lambda conn: _last(conn, visit))
    waiting = [
        {"id": each.id, "name": each.name, "at": said.moment(each.at, visit.lang),
         "state": visit.words["import_state_" + each.state]}
        for each in mine
    ]  # fmt: skip
    no_right = _sentence(visit, "no_right", {"who": visit.session.hr_id})
    return visit.show(
        "import", 422 if fault else 200, whole=whole, waiting=waiting, rows=rows, fault=fault,
        no_right=no_right, columns=_known_columns(visit),
    )  # fmt: skip


def _last(conn: Connection, visit: Visit) -> list[dict[str, Any]]:
    found = (
        select(imports, persons.c.name)
        .join(persons, persons.c.id == imports.c.by_id, isouter=True)
        .order_by(imports.c.id.desc())
        .limit(LAST)
    )
    return [
        {
            "at": said.moment(row.at, visit.lang),
            "by": row.name or visit.words["import_operator"],
            "counts": _counts(visit, decode(row.counts), full=False),
        }
        for row in conn.execute(found)
    ]


def _counts(visit: Visit, counts: dict[str, int], *, full: bool = True) -> list[tuple[str, str]]:
    """What is changed, in words; not `full`: only what there is some of."""
    return [
        (visit.words["import_count_" + name], f"{counts.get(name, 0):,}")
        for name in TOLD
        if full or (counts.get(name) and name != "unchanged")
    ]


def _sentence(visit: Visit, why: str, data: dict[str, Any]) -> str:
    return say_refusal(why, data, visit.lang, visit.app.content.roster)


def _known_columns(visit: Visit) -> list[tuple[str, str, str]]:
    """Columns of the template: what each is called, what it holds, and whether it is needed."""
    return [
        (each.headers[0], each.explain.of(visit.lang), "1" if each.needed else "")
        for each in visit.app.content.roster.columns
        if each.template
    ]


async def bring(visit: Visit) -> Response:
    """A file, or the mended one in place of another."""
    file = visit.form.files.get("file")
    if file is None or not file.data:
        return await _begun(visit, visit.words["import_no_file"])
    if len(file.data) > MOST:
        too_big = _sentence(visit, "too_big", {"most": MOST >> 20})
        return await _begun(visit, too_big)
    after = visit.app.roster.uploads.find(visit.said("after"), visit.session.person_id)
    if after is not None and after.state == "running":
        return await _begun(visit, _sentence(visit, "busy", {}))
    try:
        made = await visit.app.roster.receive(
            file.data, file.name, visit.scope, visit.session.hr_id, after
        )
    except (Refusal, Unreadable) as refusal:
        return await _begun(visit, _sentence(visit, refusal.why, refusal.data))
    return visit.go(f"import/{made.id}")


async def template(visit: Visit) -> Response:
    return visit.attach(await visit.app.roster.template(), "kaona-roster.xlsx", XLSX)


# --- one file --------------------------------------------------------------------------------


def _own(visit: Visit) -> Upload:
    """The upload of the address, if it is the visitor's."""
    id = visit.request.path_params["id"]
    found = visit.app.roster.uploads.find(id, visit.session.person_id)
    if found is None:
        raise BadRequest(404, "not_found")
    return found


async def view(visit: Visit) -> Response:
    return _shown(visit, _own(visit))


def _shown(visit: Visit, upload: Upload, faults: dict[str, str] | None = None) -> Response:
    faults = faults or {}
    result: dict[str, Any] = upload.result or {}
    problems = [each[visit.lang] for each in result.get("problems", ())]
    whys = {each["why"] for each in result.get("problems", ())}
    rows = [
        {"row": each["row"], "column": each["column"], "why": each[visit.lang]}
        for each in result.get("faults", ())
    ]
    ready = upload.state == "tried" and bool(result.get("plan")) and whys <= {"leavers", "changed"}
    return visit.show(
        "import_one",
        422 if faults else 200,
        upload=upload,
        state="broken_off" if upload.broken_off else upload.state,
        at=said.moment(upload.at, visit.lang),
        day=_day_of(visit, upload.effective),
        columns=_columns(visit, upload),
        choices=[(each.id, each.headers[0]) for each in visit.app.content.roster.columns],
        faults=faults,
        problems=problems,
        rows=rows,
        refused=result.get("refused_rows", 0),
        shown=SHOWN,
        counts=_counts(visit, result["counts"]) if result.get("counts") else [],
        nothing=_is_nothing(result.get("counts", {})),
        ready=ready,
        many_leave="leavers" in whys,
        plan=result.get("plan", ""),
        news=_news(visit, upload),
    )


def _is_nothing(counts: dict[str, int]) -> bool:
    return not any(counts.get(name) for name in TOLD if name != "unchanged")


def _day_of(visit: Visit, effective: str) -> str:
    """The day from which a file holds, as people read it."""
    if not effective:
        return visit.words["import_today"]
    try:
        day = read_day(effective, 1900, visit.app.content.roster)
    except Unclear:
        return effective
    return long_date(date.fromordinal(day), visit.lang)


def _columns(visit: Visit, upload: Upload) -> list[dict[str, str]]:
    """Columns of the file, with what they are taken for."""
    return [
        {
            "name": f"column-{at}",
            "header": each.header,
            "sample": each.sample,
            "chosen": upload.mapping.get(each.header, each.column) if each.header else "",
            "known": "1" if each.column else "",
        }
        for at, each in enumerate(upload.sight.columns)
    ]


# --- how far it is ---------------------------------------------------------------------------


async def news(visit: Visit) -> Response:
    """What moves while a file is tried or taken over."""
    upload, uploads = _own(visit), visit.app.roster.uploads
    return live.watch(visit, lambda: uploads.find(upload.id, upload.owner), partial(_news, visit))


def _news(visit: Visit, upload: Upload) -> dict[str, Any]:
    told = visit.words["import_stage_" + upload.stage]
    found: dict[str, Any] = {"stage": told.format(done=f"{upload.done:,}", of=f"{upload.of:,}")}
    if upload.of:  # else the bar only says that something is going on
        found |= {"done": upload.done, "of": upload.of}
    if upload.state != "running" or upload.broken_off:
        found["over"] = True
    return found


# --- trying and agreeing -----------------------------------------------------------------------


async def attempt(visit: Visit) -> Response:
    """Take note of what the columns are and how the file is to be taken, and look at what it
    would change; nothing is changed."""
    upload = _own(visit)
    if upload.state in ("running", "done") and not upload.broken_off:
        return visit.go(f"import/{upload.id}", _sentence(visit, "busy", {}))
    faults = _take_options(visit, upload)
    if faults:
        return _shown(visit, upload, faults)
    return await _work(visit, upload, Wanted(dry_run=True))


def _take_options(visit: Visit, upload: Upload) -> dict[str, str]:
    """Read the form into the upload; what is wrong with it by field."""
    ids = {column.id for column in visit.app.content.roster.columns}
    mapping, faults = dict[str, str](), dict[str, str]()
    for at, each in enumerate(upload.sight.columns):
        chosen = visit.said(f"column-{at}")
        if chosen and chosen not in ids:
            faults[f"column-{at}"] = visit.words["import_no_column"]
        elif each.header and chosen != each.column:
            mapping[each.header] = chosen
    upload.mapping, upload.effective = mapping, visit.said("effective")[:40]
    upload.partial = visit.said("part") == "some"
    try:
        if upload.effective:
            read_day(upload.effective, 1900, visit.app.content.roster)
    except Unclear:
        faults["effective"] = _sentence(visit, "effective", {})
    return faults or _layout_fault(visit, upload)


def _layout_fault(visit: Visit, upload: Upload) -> dict[str, str]:
    """What a needed or doubled column says before anything is read."""
    seen = upload.sight
    headers = [each.header for each in seen.columns]
    try:
        find_layout([(seen.row, headers)], upload.mapping, visit.app.content.roster)
    except Refusal as refusal:
        return {"columns": _sentence(visit, refusal.why, refusal.data)}
    return {}


async def _work(visit: Visit, upload: Upload, how: Wanted) -> Response:
    wanted = Wanted(
        mapping=upload.mapping, effective=upload.effective, partial=upload.partial,
        dry_run=how.dry_run, confirm_leavers=how.confirm_leavers, plan=how.plan,
        by=visit.session.hr_id,
    )  # fmt: skip
    problems = await visit.app.roster.work_on(upload, wanted)
    return visit.go(f"import/{upload.id}", " ".join(each[visit.lang] for each in problems))


async def agree(visit: Visit) -> Response:
    """Take the file over, if it still does what was seen."""
    upload = _own(visit)
    if not visit.proved:
        return visit.ask_proof(f"import/{upload.id}")
    result: dict[str, Any] = upload.result or {}
    if upload.state != "tried" or not result.get("plan"):
        return visit.go(f"import/{upload.id}", visit.words["import_try_first"])
    if visit.said("plan") != result["plan"]:
        return visit.go(f"import/{upload.id}", _sentence(visit, "changed", {}))
    if not visit.said("sure"):
        return _shown(visit, upload, {"sure": visit.words["import_not_sure"]})
    leaves = any(each["why"] == "leavers" for each in result["problems"])
    if leaves and not visit.said("leavers"):
        return _shown(visit, upload, {"leavers": visit.words["import_not_sure"]})
    how = Wanted(confirm_leavers=bool(visit.said("leavers")), plan=result["plan"])
    return await _work(visit, upload, how)


async def reasons(visit: Visit) -> Response:
    """The officer's own file, with a column that says why rows were refused."""
    upload = _own(visit)
    if not upload.back:
        raise BadRequest(404, "not_found")
    try:
        data = visit.app.roster.uploads.back(upload).read_bytes()
    except OSError:
        raise BadRequest(404, "not_found") from None
    rows, who = (upload.result or {}).get("refused_rows", 0), visit.session.person_id
    await visit.write(
        lambda conn, now: audit.note(conn, who, "roster_reasons", "roster", now, rows=rows)
    )
    is_book = data.startswith(b"PK\x03\x04")
    name = "kaona-roster-refused." + ("xlsx" if is_book else "csv")
    return visit.attach(data, name, XLSX if is_book else "text/csv; charset=utf-8")


async def drop(visit: Visit) -> Response:
    """Let go of a file without taking it over."""
    upload = _own(visit)
    if upload.state == "running" and not upload.broken_off:
        return visit.go(f"import/{upload.id}", _sentence(visit, "busy", {}))
    visit.app.roster.uploads.drop(upload.id)
    return visit.go("import", visit.words["import_dropped"].format(name=upload.name))


PAGES = (
    Page("/import", index, ("roster",), place="import"),
    Page("/import", bring, ("roster",), "POST", place="import", files=MOST),
    Page("/import/template", template, ("roster",), place="import"),
    Page("/import/{id:str}", view, ("roster",), place="import"),
    Page("/import/{id:str}/news", news, ("roster",), place="import"),
    Page("/import/{id:str}/try", attempt, ("roster",), "POST", place="import"),
    Page("/import/{id:str}/agree", agree, ("roster",), "POST", place="import"),
    Page("/import/{id:str}/reasons", reasons, ("roster",), "POST", place="import"),
    Page("/import/{id:str}/drop", drop, ("roster",), "POST", place="import"),
)
