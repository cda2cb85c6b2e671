"""Who calls, units, people, what they have done, and inviting them."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from msgspec.json import decode
from sqlalchemy import Connection

from bot.api import access
from bot.api.access import Anyone, Known, Named, Placed, Rostered
from bot.api.once import KeyHeader, made, once
from bot.api.problems import unknown
from bot.api.shapes import (
    CertificateShape,
    CodeShape,
    EvidenceList,
    Me,
    People,
    ProgressShape,
    Units,
)
from storage import audit, directory, pages, roster
from storage.looks import grouped

router = APIRouter()
After = Annotated[int, Query(ge=0, le=2**62, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=500)]


@router.get("/me", tags=["people"])
async def get_me(caller: Known) -> Me:
    """Whose token this is, and what it may."""
    roles = [{"role": right.role, "unit": right.path} for right in caller.scope.rights]
    return Me.model_validate({"hr_id": caller.hr_id, "name": caller.name, "roles": roles})


@router.get("/units", tags=["people"])
async def list_units(
    request: Request, caller: Placed, after: After = 0, limit: Limit = 500
) -> Units:
    """The units of which the caller may know anything."""
    rows = await access.read(
        request, lambda conn: directory.list_units(conn, caller.scope, after, limit)
    )
    units = [dict(row._mapping) for row in rows]
    return Units.model_validate({"units": units, "next": _next(rows, limit)})


@router.get("/people", tags=["people"])
async def list_people(
    request: Request,
    caller: Named,
    after: After = 0,
    limit: Limit = 100,
    unit: Annotated[str, Query(max_length=1000, description="A path: it and all below.")] = "",
    group: Annotated[str, Query(max_length=64)] = "",
    step: Annotated[str, Query(max_length=64)] = "",
) -> People:
    """Everybody on the roster whom the caller may see by name."""
    now = access.service(request).clock()
    rows = await access.read(
        request,
        lambda conn: directory.list_people(
            conn, caller.scope, now, after, limit, unit, group, step
        ),
    )
    over = [unit] if unit else list(caller.scope.paths("names"))
    await access.note(request, caller, "api_people", "people", count=len(rows), over=over)
    people = [_person(row) for row in rows]
    return People.model_validate({"people": people, "next": _next(rows, limit)})


def _next(rows: Any, limit: int, key: str = "id") -> int | None:
    return getattr(rows[-1], key) if len(rows) == limit else None


def _person(row: Any) -> dict[str, Any]:
    active = date.fromordinal(row.active_on) if row.active_on else None
    kept = ("hr_id", "name", "unit", "group", "step", "round")
    known = {name: row._mapping[name] for name in kept}
    return known | {"claimed": bool(row.claimed), "last_active": active}


@router.get("/people/{hr_id}/progress", tags=["people"])
async def get_progress(request: Request, caller: Named, hr_id: str) -> ProgressShape:
    """Which steps somebody has finished when, how often they used it at work, certificates."""
    now = access.service(request).clock()

    def ask(conn: Connection) -> Any:
        row = directory.find_person(conn, caller.scope, now, hr_id)
        found = directory.progress(conn, row.learner_id) if row and row.learner_id else ((),) * 3
        return row, found

    row, (steps, given, uses) = await access.read(request, ask)
    if row is None:
        raise unknown("person")
    await access.note(request, caller, "api_progress", f"person:{row.id}")
    plain = _person(row) | {
        "steps": [{"round": each.round, "step": each.step, "at": each.at} for each in steps],
        "uses_at_work": [dict(each._mapping) for each in uses],
        "certificates": [
            {"code": grouped(each.code), "round": each.round, "issued_at": each.issued_at}
            for each in given
        ],
    }
    return ProgressShape.model_validate(plain)


@router.get("/evidence", tags=["people"])
async def list_evidence(
    request: Request,
    caller: Named,
    after: After = 0,
    limit: Limit = 100,
    status: Annotated[str, Query(pattern="^(new|chosen|set_aside)$|^$")] = "",
) -> EvidenceList:
    """Uses at work, and what became of them: without what was written of them."""
    rows = await access.read(
        request, lambda conn: directory.list_evidence(conn, caller.scope, after, limit, status)
    )
    over = list(caller.scope.paths("names"))
    await access.note(request, caller, "api_evidence", "evidence", count=len(rows), over=over)
    kept = ("hr_id", "unit", "at", "round", "shared", "confirmed_at", "status", "narrative")
    plain = [{"id": row.fact_id} | {name: row._mapping[name] for name in kept} for row in rows]
    return EvidenceList.model_validate({"evidence": plain, "next": _next(rows, limit, "fact_id")})


@router.get("/certificates/{code}", tags=["certificates"], dependencies=[Anyone])
async def get_certificate(request: Request, code: str) -> CertificateShape:
    """What the page /verify/<code> shows to whoever has the code."""
    row = await access.read(request, lambda conn: pages.certificate(conn, code))
    if row is None:
        raise unknown("certificate")
    shown, base = pages.shown(row.code), access.service(request).settings.public_url
    plain = {
        "code": shown,
        "name": row.name,
        "round": row.round,
        "issued_at": row.issued_at,
        "areas": decode(row.data)["areas"],
        "verify": f"{base}/verify/{shown}",
        "badge": f"{base}/verify/{shown}.jwt",
    }
    return CertificateShape.model_validate(plain)


@router.post("/people/{hr_id}/codes", tags=["people"], status_code=201)
async def issue_code(request: Request, caller: Rostered, hr_id: str, key: KeyHeader) -> CodeShape:
    """A one-time code with which this person links their chat to their place on the roster."""

    def issue(conn: Connection, now: Any) -> dict[str, Any]:
        person = directory.to_invite(conn, caller.scope, now, hr_id)
        if person is None:
            raise unknown("person")
        code = roster.issue_code(conn, person, now)
        by, token = caller.scope.viewer, caller.token
        audit.note(conn, by, "code_issued", f"person:{person}", now, token=token)
        return {"code": code, "expires_at": (now + roster.CODE_LIFE).isoformat()}

    return made(CodeShape, await once(request, caller, key, 201, issue))
