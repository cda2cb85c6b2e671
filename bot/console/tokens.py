"""Keys to the API, and where facts are pushed to: one's own; whoever looks after the system sees
and ends everybody's. Nobody makes a key for another person: it may do what that person may."""

from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection
from starlette.responses import Response

from bot.clerk import Unfit, hook_row
from bot.console import tables
from bot.console.forms import number
from bot.console.pages import Page, Visit
from bot.console.tables import Column
from bot.errors import BadRequest
from bot.vault import Sealed
from flows import reports as said
from storage import hooks, records, tokens
from storage.scope import Power

STATES = ("good", "over", "revoked")
NAME = 100
HOOK_FIELDS = ("kind", "url", "user", "password")


class Typed(Struct, frozen=True):
    """What was typed into a form, and what is wrong with it, by its fields."""

    fields: dict[str, Any]
    faults: dict[str, str] = {}

    @property
    def status(self) -> int:
        return 422 if self.faults else 200


# --- keys --------------------------------------------------------------------------------


async def index(visit: Visit) -> Response:
    now, scope, state = visit.app.clock(), visit.scope, visit.asked("state") or "good"
    sort, down = tables.order(visit, tokens.SORTS, "-id")
    order, offset = ("-" if down else "") + (sort or "id"), tables.offset(visit)
    rows = await visit.read(
        lambda conn: tokens.seen(conn, scope, state, order, tables.PAGE + 1, offset, now)
    )
    found, turned = tables.turn(visit, rows)
    ids = ("hr_id", "name", "created", "expires", "used")
    columns = [Column(id, visit.words["token_" + id]) for id in ids]
    return visit.show(
        "tokens",
        heads=tables.heads(visit, columns, "-id"),
        rows=[_token(row, visit, now) for row in found],
        turned=turned,
        state=state,
        states=[(each, visit.words["token_is_" + each]) for each in STATES],
        all=scope.whole("system"),
    )


def _token(row: Any, visit: Visit, now: datetime) -> dict[str, Any]:
    state = "revoked" if row.revoked_at else "over" if row.expires_at <= now else "good"
    return {
        "id": row.id,
        "hr_id": row.hr_id,
        "name": row.name or "–",
        "created": said.moment(row.created_at, visit.lang),
        "expires": said.moment(row.expires_at, visit.lang),
        "used": said.moment(row.used_at, visit.lang) if row.used_at else "–",
        "state": visit.words["token_is_" + state],
        "good": state == "good",
    }


async def ask(visit: Visit) -> Response:
    return _form(visit, Typed({"name": "", "days": str(tokens.LIFE)}))


def _form(visit: Visit, typed: Typed) -> Response:
    more = {"typed": typed.fields, "faults": typed.faults, "longest": tokens.LONGEST}
    return visit.show("token_new", typed.status, **more)


async def create(visit: Visit) -> Response:
    """A key for oneself; it is shown once."""
    name, days = visit.said("name"), visit.said("days")
    faults = {}
    if not name or len(name) > NAME:
        key = "field_too_long" if name else "field_missing"
        faults["name"] = visit.words[key].format(most=NAME)
    if not days.isdecimal() or len(days) > 4 or not 1 <= int(days) <= tokens.LONGEST:
        faults["days"] = visit.words["token_bad_days"].format(longest=tokens.LONGEST)
    if faults:
        return _form(visit, Typed({"name": name, "days": days}, faults))
    who, by = visit.session.hr_id, visit.session.person_id
    made = await visit.write(
        lambda conn, now: tokens.create(conn, who, name, int(days), now, by=by)
    )
    until = said.moment(made["expires_at"], visit.lang)
    told = visit.words["token_until"].format(when=until)
    return visit.show("secret", title=visit.words["token_made"], secret=made["secret"], told=told,
                      back="tokens")  # fmt: skip


async def revoke(visit: Visit) -> Response:
    scope, id = visit.scope, _number(visit)
    _confirmed(visit)
    try:
        await visit.write(lambda conn, now: tokens.revoke_seen(conn, scope, id, now))
    except tokens.Unknown:
        raise BadRequest(404, "not_found") from None
    return visit.go("tokens", visit.words["token_revoked"])


def _number(visit: Visit) -> int:
    id = number(visit.said("id"))
    if id is None:
        raise BadRequest(404, "not_found")
    return id


def _confirmed(visit: Visit) -> None:
    if not visit.said("sure"):
        raise BadRequest(422, "not_sure")


# --- hooks -------------------------------------------------------------------------------


async def hook_index(visit: Visit) -> Response:
    scope, kind = visit.scope, visit.asked("kind")
    sort, down = tables.order(visit, hooks.SORTS, "-id")
    order, offset = ("-" if down else "") + (sort or "id"), tables.offset(visit)
    rows = await visit.read(
        lambda conn: hooks.seen(conn, scope, kind, order, tables.PAGE + 1, offset)
    )
    found, turned = tables.turn(visit, rows)
    columns = [Column(id, visit.words["hook_" + id]) for id in ("hr_id", "kind", "url", "created")]
    return visit.show(
        "hooks",
        heads=tables.heads(visit, columns, "-id"),
        rows=[_hook(row, visit) for row in found],
        turned=turned,
        kind=kind,
        kinds=_kinds(visit),
        all=scope.whole("system"),
        may_have=hooks.may_have(scope),
    )


def _kinds(visit: Visit) -> list[tuple[str, str]]:
    return [(each, visit.words["hook_kind_" + each]) for each in hooks.KINDS]


def _hook(row: Any, visit: Visit) -> dict[str, Any]:
    state = "ended" if row.ended_at else "failing" if row.failures else "open"
    return {
        "id": row.id,
        "hr_id": row.hr_id,
        "kind": visit.words["hook_kind_" + row.kind],
        "url": row.url,
        "created": said.moment(row.created_at, visit.lang),
        "state": visit.words["hook_is_" + state],
        "problem": row.problem,
        "ended": row.ended_at is not None,
    }


async def hook_ask(visit: Visit) -> Response:
    return _hook_form(visit, Typed({"kind": "webhook", "topics": []}))


def _hook_form(visit: Visit, typed: Typed) -> Response:
    if not hooks.may_have(visit.scope):
        raise BadRequest(403, "denied")
    more = {"typed": typed.fields, "faults": typed.faults}
    return visit.show("hook_new", typed.status, kinds=_kinds(visit), topics=records.TOPICS, **more)


async def hook_add(visit: Visit) -> Response:
    """Have what happens from now on pushed to an address, by one's own right."""
    fields: dict[str, Any] = {name: visit.said(name) for name in HOOK_FIELDS}
    fields["topics"] = visit.form.many("topics")
    kept = {name: value for name, value in fields.items() if name != "password"}
    scope, by = visit.scope, visit.session.person_id
    if fields["kind"] not in hooks.KINDS:
        return _hook_form(visit, Typed(kept, {"kind": visit.words["hook_wrong_kind"]}))
    try:
        row, shown = hook_row(visit.app, **fields)
        await visit.write(lambda conn, now: hooks.add(conn, scope, by, row, now))
    except Unfit as unfit:
        why = visit.words[f"hook_wrong_{unfit.field}_{unfit.key}"]
        return _hook_form(visit, Typed(kept, {unfit.field: why}))
    except hooks.Unknown:
        raise BadRequest(403, "denied") from None
    if not shown:
        return visit.go("hooks", visit.words["hook_made"])
    return visit.show("secret", title=visit.words["hook_made"], secret=shown,
                      told=visit.words["hook_secret"], back="hooks")  # fmt: skip


async def hook_end(visit: Visit) -> Response:
    scope, id = visit.scope, _number(visit)
    _confirmed(visit)
    return await _change(visit, lambda conn, now: hooks.end(conn, scope, id, now), "hook_ended")


async def hook_resume(visit: Visit) -> Response:
    scope, id = visit.scope, _number(visit)
    return await _change(
        visit, lambda conn, now: hooks.resume(conn, scope, id, now), "hook_resumed"
    )


async def _change(visit: Visit, job: Any, told: str) -> Response:
    try:
        await visit.write(job)
    except hooks.Unknown:
        raise BadRequest(404, "not_found") from None
    return visit.go("hooks", visit.words[told])


async def hook_test(visit: Visit) -> Response:
    """Send something harmless now, and say what came back."""
    scope, id = visit.scope, _number(visit)

    def find(conn: Connection) -> Any:
        return hooks.seen_one(conn, scope, id)

    try:
        answer = await visit.app.pusher.test(await visit.read(find))
    except hooks.Unknown:
        raise BadRequest(404, "not_found") from None
    except Sealed:
        return visit.go("hooks", visit.words["hook_test_sealed"])
    key = "good" if answer.accepted else "refused" if answer.status else "silent"
    return visit.go("hooks", visit.words["hook_test_" + key].format(status=answer.status))


NEEDS: tuple[Power, ...] = ("figures", "names", "privacy", "system")
PUSHING: tuple[Power, ...] = ("figures", "names", "system")
PAGES = (
    Page("/tokens", index, NEEDS, place="tokens"),
    Page("/tokens/new", ask, NEEDS, proof=True, place="tokens"),
    Page("/tokens/new", create, NEEDS, "POST", proof=True, place="tokens"),
    Page("/tokens/revoke", revoke, NEEDS, "POST", proof=True, place="tokens"),
    Page("/hooks", hook_index, PUSHING, place="tokens"),
    Page("/hooks/new", hook_ask, PUSHING, proof=True, place="tokens"),
    Page("/hooks/new", hook_add, PUSHING, "POST", proof=True, place="tokens"),
    Page("/hooks/end", hook_end, PUSHING, "POST", proof=True, place="tokens"),
    Page("/hooks/resume", hook_resume, PUSHING, "POST", proof=True, place="tokens"),
    Page("/hooks/test", hook_test, PUSHING, "POST", place="tokens"),
)
