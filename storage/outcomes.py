"""What became of a campaign: how its rows ended, who answered, and what it changed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    type_coerce,
    update,
)

from content.lint import Problem
from content.schema import Campaign, Content
from flows.campaigns import Difference, deadline, difference
from storage import campaigns, journal, sendings, waves
from storage.models import Moment, facts, holdouts, occurrences, outbox
from storage.profiles import withheld

STARTED_IN = timedelta(days=7)
FINISHED_IN = timedelta(days=14)
LEARNING = (
    *("answered", "measured", "planned", "lesson_done", "course_finished", "exercise_done"),
    *("quizzed", "used_at_work", "step_done"),
)
"""Facts of somebody who learns."""
AGAIN = ":r1"
"""How the key of a row ends that was sent once more."""


class Effect(Struct, frozen=True):
    """How many of a group did something, among those who were sent to and those held out."""

    sent: int
    of_sent: int
    held: int
    of_held: int

    @property
    def difference(self) -> Difference | None:
        """None without a holdout."""
        return difference(self.sent, self.of_sent, self.held, self.of_held)


class Outcome(Struct, frozen=True):
    """`rows` by status, and `reasons` of those that did not arrive, as "status: reason"; what is
    open still is among them. `resent` counts rows that were sent once more."""

    size: int
    held_out: int
    rows: dict[str, int]
    reasons: dict[str, int]
    resent: int
    answered: int
    started: Effect
    finished: Effect


def outcome(conn: Connection, campaign_id: int) -> Outcome:
    """All sendings of a campaign together."""
    campaigns.find(conn, campaign_id)
    ids = _ids(conn, campaign_id)
    mine = outbox.c.occurrence_id.in_(ids)
    first = ~outbox.c.key.endswith(AGAIN)
    rows = _counted(conn, outbox.c.status, mine, first)
    why = outbox.c.status + ": " + outbox.c.reason
    reasons = _counted(conn, why, mine, first, outbox.c.reason != "")
    held = select(func.count()).where(holdouts.c.occurrence_id.in_(ids))
    return Outcome(
        sum(rows.values()),
        conn.execute(held).scalar_one(),
        rows,
        reasons,
        sum(_counted(conn, outbox.c.status, mine, ~first).values()),
        _answered(conn, ids),
        _effect(conn, ids, LEARNING, STARTED_IN),
        _effect(conn, ids, ("step_done",), FINISHED_IN),
    )


class Stand(Struct, frozen=True):
    """How the sendings stand that are under way, or how the last one ended: rows by status, and
    by wave. `writing`: more rows come; `reason`: why it stopped, if it did."""

    rows: dict[str, int] = {}
    waves: tuple[dict[str, int], ...] = ()
    writing: bool = False
    reason: str = ""

    @property
    def size(self) -> int:
        return sum(self.rows.values())

    @property
    def over(self) -> int:
        """Rows that have come to an end."""
        return ended(self.rows)


def ended(rows: dict[str, int]) -> int:
    return sum(rows.get(status, 0) for status in sendings.TERMINAL)


def stand(conn: Connection, campaign: Any) -> Stand:
    """How a campaign is getting on; its rows are counted each time, so ask with measure."""
    spec = journal.spec_of(campaign)
    mine = select(occurrences).where(occurrences.c.campaign_id == campaign.id)
    last = mine.order_by(occurrences.c.id.desc()).limit(1)
    open_ = mine.where(occurrences.c.status.in_(sendings.OPEN))
    found = conn.execute(open_).all() or conn.execute(last).all()
    waves_ = tuple(dict[str, int]() for _ in range(len(spec.waves) + 1))
    for sending in found:
        for wave, status, many in conn.execute(_standing(spec, sending.id)):
            waves_[wave][status] = waves_[wave].get(status, 0) + many
    rows: dict[str, int] = {}
    for wave in waves_:
        for status, many in wave.items():
            rows[status] = rows.get(status, 0) + many
    return Stand(
        rows,
        waves_ if spec.waves else (),
        any(sending.status == "expanding" for sending in found),
        next((each.reason for each in found if each.status in ("paused", "held")), ""),
    )


def _standing(spec: Campaign, sending_id: int) -> Any:
    learner: Any = func.coalesce(outbox.c.learner_id, 0)
    wave = waves.wave_of(spec, sending_id, learner) if spec.waves else literal_column("0")
    of = outbox.c.occurrence_id == sending_id
    inner = select(wave.label("wave"), outbox.c.status).where(of).subquery()
    counted = select(inner.c.wave, inner.c.status, func.count())
    return counted.group_by(inner.c.wave, inner.c.status)


def _ids(conn: Connection, campaign_id: int) -> list[int]:
    mine = occurrences.c.campaign_id == campaign_id
    return list(conn.execute(select(occurrences.c.id).where(mine)).scalars())


def _counted(conn: Connection, by: Any, *where: ColumnElement[bool]) -> dict[str, int]:
    rows = conn.execute(select(by, func.count()).where(*where).group_by(by).order_by(by))
    return {row[0]: row[1] for row in rows}


def _answered(conn: Connection, ids: Sequence[int]) -> int:
    """People who pressed the button."""
    if not ids:
        return 0
    begins = (facts.c.data.startswith(f'{{"occurrence":{each},') for each in ids)
    pressed = select(func.count(facts.c.learner_id.distinct())).where(
        facts.c.kind == "campaign_answered", or_(*begins), facts.c.learner_id.not_in(withheld())
    )
    found: int = conn.execute(pressed).scalar_one()
    return found


def _effect(
    conn: Connection, ids: Sequence[int], kinds: Sequence[str], within: timedelta
) -> Effect:
    """Who did something of these kinds in time, counted from when it reached them; for all who
    were meant to get it, whether they did or not, or the two groups could not be compared; but for
    those who asked that their data rest."""
    reached = case((outbox.c.status == "accepted", outbox.c.ended_at), else_=occurrences.c.due)
    sent = (
        select(outbox.c.learner_id, func.min(reached).label("since"))
        .join(occurrences, occurrences.c.id == outbox.c.occurrence_id)
        .where(outbox.c.occurrence_id.in_(ids), outbox.c.learner_id.is_not(None))
        .where(outbox.c.learner_id.not_in(withheld()))
        .group_by(outbox.c.learner_id)
    )
    held = (
        select(holdouts.c.learner_id, func.min(occurrences.c.due).label("since"))
        .join(occurrences, occurrences.c.id == holdouts.c.occurrence_id)
        .where(holdouts.c.occurrence_id.in_(ids), holdouts.c.learner_id.not_in(withheld()))
        .group_by(holdouts.c.learner_id)
    )
    return Effect(*_did(conn, sent, kinds, within), *_did(conn, held, kinds, within))


def _did(conn: Connection, group: Any, kinds: Sequence[str], within: timedelta) -> tuple[int, int]:
    """How many of a group did something in time, of how many."""
    who = group.subquery()
    span = within // timedelta(microseconds=1)
    since = type_coerce(who.c.since, BigInteger)
    did = select(facts.c.id).where(
        facts.c.learner_id == who.c.learner_id,
        facts.c.kind.in_(kinds),
        type_coerce(facts.c.at, BigInteger) >= since,
        type_coerce(facts.c.at, BigInteger) < since + span,
    )
    counted = select(func.count(), func.count().filter(did.exists())).select_from(who)
    of, many = conn.execute(counted).one()
    return many, of


# --- once more --------------------------------------------------------------------------


def resend(
    conn: Connection,
    campaign_id: int,
    now: datetime,
    content: Content,
    by: str = "",
    channel: str = "",
    until: int = 0,
) -> int:
    """Send once more, and only once, to those of whom nobody knows whether they got it; how
    many. Only a person decides that somebody may get it twice: on a channel, if one is named, and
    of the rows up to the one that they have seen."""
    row = campaigns.find(conn, campaign_id, lock=True)
    who = campaigns.acting(conn, row, by, now)
    campaigns.require(row, "approved", "done")
    spec = journal.spec_of(row)
    ends = deadline(spec, now, content)
    again = outbox.alias("again")
    many = 0
    for sending in sendings.of(conn, campaign_id, "running", "done"):
        columns: dict[str, Any] = {
            **{name: outbox.c[name] for name in _SAME},
            "key": outbox.c.key + AGAIN,
            "payload": literal("{}"),
            "status": literal("queued"),
            **{name: literal(when, Moment) for name, when in _times(now, ends)},
        }
        mine = _uncertain(sending.id, channel, until)
        sent = select(again.c.id).where(again.c.key == outbox.c.key + AGAIN).exists()
        took = sendings.insert_from(conn, columns, select(*columns.values()).where(mine, ~sent))
        conn.execute(update(outbox).where(mine).values(settled="resent"))
        if took and sending.status == "done":
            journal.turn(conn, sending, "running", now, "resent", cursor=0)
        many += took
    if not many:
        raise campaigns.Refused(Problem(("campaign",), "nothing_uncertain"))
    campaigns.reopen(conn, campaign_id, now, many, who)
    return many


def _uncertain(sending_id: int, channel: str, until: int) -> ColumnElement[bool]:
    """Rows of a sending that were not sent twice yet."""
    return and_(
        outbox.c.occurrence_id == sending_id,
        outbox.c.status == "uncertain",
        ~outbox.c.key.endswith(AGAIN),
        outbox.c.channel == channel if channel else true(),
        outbox.c.id <= until if until else true(),
    )


_SAME = ("learner_id", "channel", "address", "lane", "purpose", "occurrence_id", "message_id")


def _times(now: datetime, ends: datetime) -> tuple[tuple[str, datetime], ...]:
    return (("created_at", now), ("due", now), ("deadline", ends))
