"""Logged answers as sittings, to estimate difficulties from; and publishing difficulties."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from msgspec.json import decode
from sqlalchemy import Connection, select

from content.overlay import Revised, digest, entry, faults, overlay
from content.schema import Content
from flows.calibration import Said, Sitting
from storage import revisions
from storage.audit import note as note_audit
from storage.models import facts
from storage.profiles import withheld
from storage.revisions import Draft, Stale
from storage.scope import Scope

MOST = 100_000
"""Answers that are estimated from, those of the newest learners: more take minutes and hardly make
an estimate better."""
SERIES = ("pretest", "retest")
"""Purposes whose answers over all areas are one sitting; else each area is."""


def sittings(conn: Connection, since: datetime | None = None, most: int = MOST) -> list[Sitting]:
    """The first answer of each learner to each question, from `since` on, as sittings: of one
    learner, round and purpose. Whoever has their data restricted or waits to be erased is in none
    of them; nothing in them says whose they are."""
    wanted = (
        select(facts.c.learner_id, facts.c.at, facts.c.data)
        .where(facts.c.kind == "answered", facts.c.learner_id.not_in(withheld()))
        .order_by(facts.c.learner_id.desc(), facts.c.id)
    )
    found: list[Sitting] = []
    whose, mine, many = 0, list[Any](), 0
    with conn.execute(wanted, execution_options={"yield_per": 5_000}) as rows:
        for row in rows:
            if row.learner_id != whose:
                found += _of_learner(mine, since)
                many += len(mine)
                whose, mine = row.learner_id, []
                if many >= most:
                    break
            mine.append(row)
    return found + _of_learner(mine, since)


def _of_learner(rows: Sequence[Any], since: datetime | None) -> list[Sitting]:
    """What one learner answered, in order; a question that they knew already tells nothing."""
    met: set[str] = set()
    groups: dict[tuple[Any, ...], list[Said]] = {}
    for row in rows:
        data = decode(row.data)
        question, purpose, area = data["question"], data["purpose"], data["area"]
        if question in met or purpose == "recall":  # asked because it was known
            continue
        met.add(question)
        if since is not None and row.at < since:
            continue
        key = purpose, data.get("round"), "" if purpose in SERIES else area
        said = Said(question, area, data["option"], bool(data["right"]))
        groups.setdefault(key, []).append(said)
    return [Sitting(key[0], tuple(answers)) for key, answers in groups.items()]


# --- publishing ------------------------------------------------------------------------


Change = tuple[str, float, float, str]
"""A question, its difficulty as it was read and as it shall be (logits), and a note on why."""


class Unfit(Exception):
    """The lint has something against it; says what."""


class Prepared(NamedTuple):
    """What would be published against an edition, and what became of each change that was wanted:
    `done`; `moved`: the question is another by now; `drafted`: somebody is wording it anew."""

    edition: int
    drafts: tuple[Draft, ...]
    became: dict[str, str]


def prepare(conn: Connection, files: Content, changes: Iterable[Change]) -> Prepared:
    """Lay changes over all that is published and let the lint look at the whole; a reading. Raises
    Unfit if it has something against it."""
    standing = revisions.standing(conn)
    laid = overlay(files, standing).content
    became: dict[str, str] = {}
    made: list[Draft] = []
    for key, old, new, why in changes:
        there = entry(laid, "question", key)
        if there is None or there.get("retired") or there["difficulty"] != old:
            became[key] = "moved"
        elif revisions.draft_of(conn, "question", key) is not None:
            became[key] = "drafted"
        else:
            base = digest(entry(files, "question", key))
            made.append(Draft("question", key, key, there | {"difficulty": new}, base, why))
            became[key] = "done"
    _require_fit(files, standing, made)
    return Prepared(revisions.newest(conn), tuple(made), became)


def publish(conn: Connection, scope: Scope, prepared: Prepared, now: datetime) -> None:
    """Publish what was prepared: all of it, each with its history as if worded in the console.
    Raises Denied, and Stale if content has changed since it was prepared."""
    revisions.require(scope, "question", "")
    revisions.hold(conn)
    if revisions.newest(conn) != prepared.edition:
        raise Stale
    for draft in prepared.drafts:
        id = revisions.save(conn, scope, draft, "", now)
        seen = revisions.version_of(revisions.find(conn, id))
        revisions.publish(conn, scope, id, seen, revisions.newest(conn), now)


def _require_fit(files: Content, standing: Iterable[Revised], made: Iterable[Draft]) -> None:
    """The lint sees all of it at once, as it sees a draft in the console."""
    drafts = [Revised("question", draft.key, draft.body, draft.base) for draft in made]
    keys = {draft.key for draft in drafts}
    others = [row for row in standing if row.kind != "question" or row.key not in keys]
    laid = overlay(files, [*others, *drafts])
    left = [f"{row.key}: {why}" for row, why in laid.left if row in drafts]
    against = left + [fault.what for fault in faults(laid.content)]
    if against:
        raise Unfit(against[0])


def noted(conn: Connection, scope: Scope, now: datetime, **counts: Any) -> None:
    """Write down that somebody asked for a calibration, of how much, and what it changed."""
    note_audit(conn, scope.viewer, "content_calibrated", "content:questions", now, **counts)
