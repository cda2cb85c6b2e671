"""Campaigns: the list; one of them with its dry run, its approval, and what may be done with it."""

from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, select
from starlette.responses import Response

from bot import desk
from bot.console import audiences, campaign_results, campaign_runs, tables
from bot.console.campaign_editor import DRAFTS, NEEDS, draft_of, sentence
from bot.console.campaign_editor import PAGES as EDITOR
from bot.console.forms import number
from bot.console.pages import Page, Visit
from bot.console.previews import previews
from bot.console.tables import Column
from bot.errors import BadRequest
from content.schema import Campaign
from flows import reports as said
from storage import audience, campaigns, journal, outcomes
from storage.campaigns import STATES, Refused
from storage.models import occurrences, persons

COLUMNS = ("name", "state", "next", "times", "size")
SORTS = ("name", "state", "next", "size")
HISTORY = 50
ACTS = ("pause", "resume", "cancel", "release", "skip", "resend")
SURE = ("cancel", "release", "resend")
"""What wants a ticked box."""
MOVES = ("expanding", "waiting", "running")


# --- the list ------------------------------------------------------------------------------


async def listing(visit: Visit) -> Response:
    scope, words = visit.scope, visit.words
    state = visit.asked("state") if visit.asked("state") in STATES else ""
    by, down = tables.order(visit, SORTS)
    sort = ("-" if down else "") + by if by else "-id"
    found = await visit.read(
        lambda conn: campaigns.listing(
            conn, scope, state, sort, tables.offset(visit), tables.PAGE + 1
        )
    )
    shown, turned = tables.turn(visit, found)
    columns = [
        Column(id, words["campaign_column_" + id], id in ("times", "size"), id in SORTS)
        for id in COLUMNS
    ]
    return visit.show(
        "campaigns",
        heads=tables.heads(visit, columns),
        rows=[_line(row, visit) for row in shown],
        turned=turned,
        states=[(each, words["campaign_state_" + each]) for each in STATES],
        state=state,
        may_write=scope.may("send"),
    )


def _line(row: Any, visit: Visit) -> list[Any]:
    return [
        {"text": row.name, "path": f"/console/campaigns/{row.id}"},
        visit.words["campaign_state_" + row.state],
        said.moment(row.next, visit.lang) if row.next else "–",
        f"{row.times:,}",
        f"{row.size:,}",
    ]


# --- one of them ---------------------------------------------------------------------------


class Around(Struct, frozen=True):
    """What is known of a campaign beside its row."""

    author: str
    approver: str
    history: list[dict[str, str]]
    sent: bool
    own: bool
    stand: outcomes.Stand | None
    state: str
    held: bool


async def view(visit: Visit) -> Response:
    return await _view(visit)


async def _view(visit: Visit, faults: dict[str, str] | None = None) -> Response:
    row, spec = await draft_of(visit)
    around = await visit.read(lambda conn: _around(conn, row, visit))
    try:
        run = await campaign_runs.dry_run(visit, row) if row.status in DRAFTS else None
    except Refused:  # somebody has approved it in this very moment
        return visit.go(f"campaigns/{row.id}")
    return visit.show(
        "campaign",
        422 if faults else 200,
        id=row.id,
        called=spec.name.of(visit.lang),
        life=row.status,
        state=around.state,
        head=_head(row, spec, around, visit),
        previews=previews(spec, visit.app.content),
        run=run and campaign_runs.told(run, spec, visit),
        fits=run is not None and _fits(run, row),
        hash=row.checked_hash,
        own=around.own,
        history=around.history,
        sent=around.sent,
        news=campaign_results.moving(around.stand, around.state, visit) if around.stand else None,
        waves=campaign_results.waves(around.stand, spec, visit) if around.stand else [],
        moves=around.state in MOVES,
        acts=_acts(row, around),
        faults=faults or {},
        may_approve=visit.scope.may("approve"),
        may_name=visit.scope.may("names"),
    )


def _fits(run: audience.DryRun, row: Any) -> bool:
    """Whether what was checked is still so, and may be approved."""
    return row.status == "checked" and not run.problems and run.hash == row.checked_hash


def _around(conn: Connection, row: Any, visit: Visit) -> Around:
    mine = select(occurrences.c.status).where(occurrences.c.campaign_id == row.id)
    statuses = list(conn.execute(mine.order_by(occurrences.c.id)).scalars())
    named = select(persons.c.id, persons.c.name)
    ids = (row.author_id, row.approver_id or 0)
    names = {each.id: each.name for each in conn.execute(named.where(persons.c.id.in_(ids)))}
    who = visit.session.person_id
    return Around(
        names.get(row.author_id, "–"),
        names.get(row.approver_id, ""),
        [_entry(each, visit) for each in journal.history(conn, row.id, HISTORY)],
        bool(statuses),
        row.author_id == who or campaigns.has_written(conn, row.id, who),
        outcomes.stand(conn, row) if statuses else None,
        campaigns.state_of(row, statuses),
        "held" in statuses,
    )


def _entry(row: Any, visit: Visit) -> dict[str, str]:
    what = visit.words.get("campaign_log_" + row.what, row.what)
    return {"at": said.moment(row.at, visit.lang), "what": what, "who": row.name or ""}


def _head(row: Any, spec: Campaign, around: Around, visit: Visit) -> list[tuple[str, str]]:
    words = visit.words
    found = [
        (words["campaign_purpose"], words["campaign_purpose_" + spec.purpose]),
        (words["campaign_whom"], audiences.described(spec.segment, visit)),
        (words["campaign_author"], around.author),
    ]
    if around.approver:
        when = said.moment(row.approved_at, visit.lang)
        found.append((words["campaign_approver"], f"{around.approver} · {when}"))
    if row.next_due:
        found.append((words["campaign_column_next"], said.moment(row.next_due, visit.lang)))
    return found


def _acts(row: Any, around: Around) -> list[str]:
    """What may be done with it now."""
    if row.status in DRAFTS:
        return ["cancel"]
    found = []
    if row.status == "approved":
        found = ["resume" if around.state == "paused" else "pause", "cancel"]
        found += ["release", "skip"] if around.held else []
    rows = around.stand.rows if around.stand else {}
    if row.status in ("approved", "done") and rows.get("uncertain"):
        found.append("resend")
    return found


# --- who it is for, by name -----------------------------------------------------------------


async def names(visit: Visit) -> Response:
    """Who would get it, one by one; that they were read is written down."""
    visit.scope.require("names")
    row, spec = await draft_of(visit)
    if row.status not in DRAFTS:
        return visit.go(f"campaigns/{row.id}", visit.words["campaign_names_drafts"])
    path = f"campaigns/{row.id}/names"
    if not visit.proved:
        return visit.ask_proof(path)
    now, scope, content = visit.app.clock(), visit.scope, visit.app.content
    after = number(visit.asked("after")) or 0

    def look(conn: Connection) -> list[Any]:
        due = campaigns.due_of(spec, now, content) or now
        return list(audience.listed(conn, spec, now, due, after, tables.PAGE + 1, scope))

    found = await visit.read(look)
    rows, more = found[: tables.PAGE], len(found) > tables.PAGE
    await visit.write(lambda conn, at: audience.names_seen(conn, row.id, scope, len(rows), at))
    words = visit.words
    columns = [
        Column(each, words["campaign_names_" + each], sorts=False)
        for each in ("hr_id", "name", "channel", "step")
    ]
    return visit.show(
        "campaign_names",
        id=row.id,
        called=spec.name.of(visit.lang),
        heads=tables.heads(visit, columns),
        rows=[_named(each, visit) for each in rows],
        first=bool(after),
        next=f"/console/{path}?after={rows[-1].learner_id}" if more else "",
    )


def _named(row: Any, visit: Visit) -> list[str]:
    lang, content = visit.lang, visit.app.content
    channel = content.copy_[lang]["segment_channel_" + row.channel]
    return [row.hr_id or "–", row.name or "–", channel, said.name("step", row.step, lang, content)]


# --- approving and stopping ----------------------------------------------------------------


async def approve(visit: Visit) -> Response:
    """Another officer says yes to what they have seen."""
    if not visit.said("sure"):
        return await _view(visit, {"approve": visit.words["campaign_not_sure"]})
    hash_ = visit.said("hash") or "none"
    return await _act(visit, "approve", {"hash": hash_}, "campaign_did_approve")


async def act(visit: Visit) -> Response:
    do = visit.request.path_params["act"]
    if do not in ACTS:
        raise BadRequest(404, "not_found")
    row, _ = await draft_of(visit)
    if do in ("release", "resend") and not visit.proved:
        return visit.ask_proof(f"campaigns/{row.id}")
    if do in SURE and not visit.said("sure"):
        return await _view(visit, {do: visit.words["campaign_not_sure"]})
    return await _act(visit, do, {}, "campaign_did_" + do)


async def _act(visit: Visit, do: str, more: dict[str, str], word: str) -> Response:
    row, _ = await draft_of(visit)
    args = {"id": row.id, "by": visit.session.hr_id, **more}
    try:
        await desk.carry_out(visit.app, do, args)
    except Refused as refused:
        return await _view(visit, {do: sentence(refused.problems, visit)})
    return visit.go(f"campaigns/{row.id}", visit.words[word])


BACK = "campaigns/{id}"
PAGES = (
    *EDITOR,
    *campaign_results.PAGES,
    Page("/campaigns", listing, NEEDS, place="campaigns"),
    Page("/campaigns/{id:str}", view, NEEDS, place="campaigns"),
    Page("/campaigns/{id:str}/names", names, ("names",), place="campaigns"),
    Page(
        "/campaigns/{id:str}/approve", approve, ("approve",), "POST",
        proof=True, place="campaigns", back=BACK,
    ),
    Page("/campaigns/{id:str}/do/{act:str}", act, ("send",), "POST", place="campaigns"),
)  # fmt: skip
