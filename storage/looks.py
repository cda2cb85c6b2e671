"""What flows may ask the shell for, answered in the turn's own transaction."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

from msgspec.json import decode, encode
from sqlalchemy import Connection, func, insert, select, update

from content.schema import Content
from flows.calendar import local, next_permitted
from flows.reports import Ask, text
from flows.types import Json
from storage import audit, reports, rights
from storage.models import (
    certificates,
    claim_codes,
    claim_tries,
    evidence,
    facts,
    learners,
    links,
    outbox,
    persons,
    photos,
    timers,
    units,
)
from storage.scope import Denied, scope_of

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Letters of codes that people type: none that looks like another."""
CODE_LENGTH = 13
"""13 letters of 32 are 65 bits."""
TRIES, TRIES_IN = 5, timedelta(hours=1)
MERGE = "merge"
"""The kind of the timer by which two learners become one."""


def claim(
    conn: Connection, learner_id: int, args: dict[str, Json], now: datetime, content: Content
) -> dict[str, Json]:
    """Link the learner to the person whose code this is: single use, 24 h, 5 tries an hour for
    each chat and for each person. A person who chats elsewhere already keeps that learner: the
    two are put together by a timer (storage/merges.py), so that no turn ever locks two.

    Claims are made one by one: of two chats with one code, the second finds it used.
    """
    audit.hold(conn)
    me = conn.execute(select(learners).where(learners.c.id == learner_id)).one()
    row = conn.execute(
        select(claim_codes).where(claim_codes.c.code_hash == code_hash(args["code"]))
    ).first()
    person_id = row.person_id if row else None
    if me.person_id is not None:  # whether the code is any good is none of their business
        return {"problem": "already" if person_id == me.person_id else "other"}
    if _merging(conn, learner_id):
        return {"linking": True}
    if _tried_often(conn, learner_id, person_id, now):
        return {"problem": "too_many"}
    problem = _claim_problem(conn, row, now)
    if problem or row is None:
        tried = {"learner_id": learner_id, "at": now, "person_id": person_id}
        conn.execute(insert(claim_tries).values(tried))
        return {"problem": problem}
    used = update(claim_codes).where(claim_codes.c.code_hash == row.code_hash)
    conn.execute(used.values(used_at=now))
    known = select(learners.c.id).where(learners.c.person_id == person_id)
    if conn.execute(known).first():
        wake(conn, learner_id, MERGE, MERGE, now, {"person": person_id})
        return {"linking": True}
    note_link(conn, row.person_id, learner_id, "linked", me.channel, now)
    mine = update(learners).where(learners.c.id == learner_id)
    conn.execute(mine.values(person_id=person_id))
    return {"person": person(conn, row.person_id)}


def _merging(conn: Connection, learner_id: int) -> bool:
    waits = select(timers.c.id).where(timers.c.learner_id == learner_id, timers.c.kind == MERGE)
    return conn.execute(waits).first() is not None


def _tried_often(conn: Connection, learner_id: int, person_id: int | None, now: datetime) -> bool:
    """Whether this chat has been wrong too often, or dead codes of this person were tried so."""
    for column, value in (("learner_id", learner_id), ("person_id", person_id)):
        if value is None:
            continue
        since = select(func.count()).where(
            claim_tries.c[column] == value, claim_tries.c.at > now - TRIES_IN
        )
        if conn.execute(since).scalar_one() >= TRIES:
            return True
    return False


def _claim_problem(conn: Connection, row: Any, now: datetime) -> str:
    if row is None:
        return "unknown"
    if row.used_at is not None:
        return "used"
    if row.void:
        return "void"
    if row.expires_at <= now:
        return "expired"
    left = select(persons.c.left_on).where(persons.c.id == row.person_id)
    left_on = conn.execute(left).scalar_one()
    return "void" if 0 < left_on <= local(now).toordinal() else ""


def note_link(
    conn: Connection,
    person_id: int,
    learner_id: int,
    what: str,
    channel: str,
    now: datetime,
    by: int | None = None,
    **data: Any,
) -> int:
    """Write down that a chat was linked, put together with another, or parted; `data` is what it
    takes to undo it. The audit trail hears of it, too."""
    row = {"at": now, "person_id": person_id, "learner_id": learner_id, "what": what}
    row |= {"channel": channel, "by_id": by, "data": encode(data).decode()}
    made: int = conn.execute(insert(links).values(row).returning(links.c.id)).scalar_one()
    audit.note(conn, by, f"chat_{what}", f"person:{person_id}", now, link=made, channel=channel)
    return made


def code_hash(typed: str) -> str:
    """Codes are kept hashed; case, dashes and spaces do not matter."""
    return sha256(letters_of(typed).encode()).hexdigest()


def person(conn: Connection, person_id: int) -> dict[str, Json]:
    """What a flow may know of a person (flows.types.Person)."""
    row = conn.execute(
        select(persons, units.c.name.label("unit")).join(units).where(persons.c.id == person_id)
    ).one()
    return {
        "id": row.id,
        "name": row.name,
        "unit": row.unit,
        "title": row.title,
        "position_type": row.position_type,
        "manager": row.supervisor_id is not None,
        "zone": row.zone,
    }


def of_learner(
    conn: Connection, learner_id: int, args: dict[str, Json], now: datetime, content: Content
) -> dict[str, Json]:
    """Who the learner is on the roster today; nothing if they are not on it."""
    mine = select(learners.c.person_id).where(learners.c.id == learner_id)
    id = conn.execute(mine).scalar()
    return {} if id is None else {"person": person(conn, id)}


def use(
    conn: Connection, learner_id: int, args: dict[str, Json], now: datetime, content: Content
) -> dict[str, Json]:
    """Record a use at work; ask the manager to confirm it; have its photo fetched."""
    proof = args.get("proof") or {}
    if proof.get("ref"):
        args = {
            **args,
            "proof": {**proof, "photo": _keep_photo(conn, learner_id, proof["ref"], now)},
        }
    fact_id = conn.execute(
        insert(facts)
        .values(learner_id=learner_id, at=now, kind="used_at_work", data=encode(args).decode())
        .returning(facts.c.id)
    ).scalar_one()
    use = {"fact_id": fact_id, "learner_id": learner_id, "at": now, "round": args["round"]}
    conn.execute(insert(evidence).values(use | {"shared": args["shared"]}))
    manager = manager_of(conn, learner_id) if args["ask_manager"] else None
    if manager is not None:
        data = {
            "use": fact_id,
            "who": _name(conn, learner_id),
            **{key: args[key]["text"] for key in ("where", "whom", "changed")},
            "from": learner_id,
        }
        due = next_permitted(now, "", content)
        wake(conn, manager, "confirm_use", str(fact_id), due, data)
    return {"use": fact_id, "asked": manager is not None}


def _keep_photo(conn: Connection, learner_id: int, ref: str, now: datetime) -> str:
    """Queue the fetching of a photo: it is a platform request like any other."""
    key = str(uuid4())
    at = conn.execute(
        select(learners.c.channel, learners.c.address).where(learners.c.id == learner_id)
    ).one()
    conn.execute(
        insert(photos).values(
            key=key, learner_id=learner_id, channel=at.channel, ref=ref, created_at=now
        )
    )
    conn.execute(
        insert(outbox).values(
            key=str(uuid4()),
            learner_id=learner_id,
            channel=at.channel,
            address=at.address,
            lane="fetch",
            payload=encode({"fetch": ref, "photo": key}).decode(),
            created_at=now,
            due=now,
            deadline=now + timedelta(hours=24),
            status="queued",
        )
    )
    return key


def _name(conn: Connection, learner_id: int) -> str:
    named = select(persons.c.name).join(learners).where(learners.c.id == learner_id)
    return conn.execute(named).scalar() or ""


def manager_of(conn: Connection, learner_id: int) -> int | None:
    """The learner who is the supervisor of this learner, if both are linked to the roster."""
    supervisor = (
        select(persons.c.supervisor_id)
        .join(learners, learners.c.person_id == persons.c.id)
        .where(learners.c.id == learner_id)
        .scalar_subquery()
    )
    return conn.execute(select(learners.c.id).where(learners.c.person_id == supervisor)).scalar()


def wake(
    conn: Connection, learner_id: int, kind: str, key: str, due: datetime, data: dict[str, Json]
) -> None:
    """A timer for somebody else: their own turn says it, so no two learners are locked at once."""
    conn.execute(
        insert(timers).values(
            learner_id=learner_id, kind=kind, key=key, due=due, data=encode(data).decode()
        )
    )


def confirm_use(
    conn: Connection, learner_id: int, args: dict[str, Json], now: datetime, content: Content
) -> dict[str, Json]:
    """A manager's word on a use at work: only the supervisor's, and only once."""
    fact = conn.execute(
        select(facts).where(facts.c.id == args["use"], facts.c.kind == "used_at_work")
    ).first()
    if fact is None or manager_of(conn, fact.learner_id) != learner_id:
        return {"result": "not_yours"}
    said = select(facts.c.data).where(
        facts.c.learner_id == learner_id, facts.c.kind.in_(("use_confirmed", "use_declined"))
    )
    if any(decode(data)["use"] == fact.id for data in conn.execute(said).scalars()):
        return {"result": "already"}
    kind = "use_confirmed" if args["confirmed"] else "use_declined"
    data = encode({"use": fact.id}).decode()
    conn.execute(insert(facts).values(learner_id=learner_id, at=now, kind=kind, data=data))
    if args["confirmed"]:
        by = select(learners.c.person_id).where(learners.c.id == learner_id).scalar_subquery()
        sure = update(evidence).where(evidence.c.fact_id == fact.id)
        conn.execute(sure.values(confirmed_at=now, confirmed_by=by))
        where = decode(fact.data)["where"]["text"]
        due = next_permitted(now, "", content)
        wake(conn, fact.learner_id, "use_confirmed", str(fact.id), due, {"where": where})
    return {"result": "confirmed" if args["confirmed"] else "declined"}


def certificate(
    conn: Connection, learner_id: int, args: dict[str, Json], now: datetime, content: Content
) -> dict[str, Json]:
    """Issue the certificate of a round, or the one that was issued before."""
    row = conn.execute(
        select(certificates.c.code, certificates.c.data).where(
            certificates.c.learner_id == learner_id, certificates.c.round == args["round"]
        )
    ).first()
    if row is not None:
        return {**decode(row.data), "code": grouped(row.code)}
    code = new_code()
    conn.execute(
        insert(certificates).values(
            code=code,
            learner_id=learner_id,
            name=args["data"]["name"],
            round=args["round"],
            issued_at=now,
            data=encode(args["data"]).decode(),
        )
    )
    return {**args["data"], "code": grouped(code)}


def new_code() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))


def letters_of(typed: str) -> str:
    """A code as it is kept: letters only."""
    return "".join(letter for letter in typed.upper() if letter.isalnum())


def grouped(code: str) -> str:
    """ABCD-EFGH-JKLM-N: how codes are shown."""
    return "-".join(code[at : at + 4] for at in range(0, len(code), 4))


def report(
    conn: Connection, learner_id: int, args: dict[str, Json], now: datetime, content: Content
) -> dict[str, Json]:
    """A report in words, for an officer who has the right; nothing for anybody else."""
    who = select(learners.c.person_id).where(learners.c.id == learner_id)
    scope = scope_of(conn, conn.execute(who).scalar(), now)
    try:
        made = reports.report(conn, args["name"], scope, Ask(), now, content)
    except Denied:
        return {}
    reports.asked(conn, args["name"], scope, Ask(), now, "chat")
    return {"text": text(made, args["lang"], content)}


Looking = Callable[[Connection, int, dict[str, Json], datetime, Content], dict[str, Json]]
LOOKS: dict[str, Looking] = {
    "claim": claim,
    "person": of_learner,
    "use": use,
    "confirm_use": confirm_use,
    "certificate": certificate,
    "my_data": rights.my_data,
    "who_looked": rights.who_looked,
    "copy": rights.copy,
    "wish": rights.wish,
    "rename": rights.rename,
    "undo_erase": rights.undo_erase,
    "report": report,
}
