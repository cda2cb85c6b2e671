"""Messages that may have arrived or not: shown by what they belong to, sent once more, or left."""

from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Select, Subquery, and_, case, func, select, update

from content.schema import Content
from storage import outcomes
from storage.audit import note
from storage.models import DOUBT, Moment, campaigns, occurrences, outbox
from storage.outcomes import AGAIN
from storage.scope import Scope

MOST = 100
"""Groups in one list."""
RESENDABLE = ("approved", "done")
"""Campaigns of which rows can be sent once more."""


class Doubts(Struct, frozen=True):
    """Messages of one campaign (0: of none), for one purpose, on one channel: how many, how many
    of them can be sent once more, since when, and the number of the last of them."""

    campaign: int
    name: str
    purpose: str
    channel: str
    many: int
    again: int
    since: datetime
    until: int


def listing(conn: Connection, scope: Scope) -> list[Doubts]:
    """What nobody has decided about, the oldest first; of whom is not told."""
    scope.require("system")
    return [
        Doubts(
            row.campaign,
            row.name,
            row.purpose,
            row.channel,
            int(row.many),
            int(row.again) if row.status in RESENDABLE else 0,
            row.since,
            row.until,
        )
        for row in conn.execute(_by_campaign())
    ]


def _by_campaign() -> Select[Any]:
    each = _by_sending()
    since = func.min(each.c.since, type_=Moment())
    return (
        select(
            func.coalesce(occurrences.c.campaign_id, 0).label("campaign"),
            func.coalesce(func.max(campaigns.c.name), "").label("name"),
            func.coalesce(func.max(campaigns.c.status), "").label("status"),
            each.c.purpose,
            each.c.channel,
            func.sum(each.c.many).label("many"),
            func.sum(each.c.again).label("again"),
            since.label("since"),
            func.max(each.c.until).label("until"),
        )
        .select_from(each)
        .join(occurrences, occurrences.c.id == each.c.occurrence_id, isouter=True)
        .join(campaigns, campaigns.c.id == occurrences.c.campaign_id, isouter=True)
        .group_by(occurrences.c.campaign_id, each.c.purpose, each.c.channel)
        .order_by(since)
        .limit(MOST)
    )


def _by_sending() -> Subquery:
    """By what the index has; the conditions are in its own words."""
    first = case((outbox.c.key.endswith(AGAIN), 0), else_=1)
    return (
        select(
            outbox.c.occurrence_id,
            outbox.c.purpose,
            outbox.c.channel,
            func.count().label("many"),
            func.sum(first).label("again"),
            func.min(func.coalesce(outbox.c.ended_at, outbox.c.created_at)).label("since"),
            func.max(outbox.c.id).label("until"),
        )
        .where(DOUBT)
        .group_by(outbox.c.occurrence_id, outbox.c.purpose, outbox.c.channel)
        .subquery()
    )


def many(conn: Connection) -> int:
    """How many messages nobody has decided about."""
    counted = select(func.count()).select_from(outbox).where(DOUBT)
    return int(conn.execute(counted).scalar_one())


def resend(
    conn: Connection,
    scope: Scope,
    campaign: int,
    channel: str,
    until: int,
    now: datetime,
    content: Content,
) -> int:
    """Send those of a campaign on a channel once more, as far as they were seen; how many. Some
    people may get it twice. Raises Refused where there is nothing (more) to send."""
    scope.require("system")
    sent = outcomes.resend(conn, campaign, now, content, channel=channel, until=until)
    target = f"campaign:{campaign}"
    note(conn, scope.viewer, "sends_resent", target, now, channel=channel, rows=sent)
    return sent


def leave(
    conn: Connection,
    scope: Scope,
    campaign: int,
    purpose: str,
    channel: str,
    until: int,
    now: datetime,
) -> int:
    """Let them be, as far as they were seen; how many. They stay uncertain in every report."""
    scope.require("system")
    theirs = select(occurrences.c.id).where(occurrences.c.campaign_id == campaign)
    own = outbox.c.occurrence_id.in_(theirs) if campaign else outbox.c.occurrence_id.is_(None)
    those = and_(
        own,
        outbox.c.purpose == purpose,
        outbox.c.channel == channel,
        outbox.c.id <= until,
    )
    left = conn.execute(update(outbox).where(DOUBT, those).values(settled="left")).rowcount
    if left:
        target = f"campaign:{campaign}" if campaign else "outbox"
        note(conn, scope.viewer, "sends_left", target, now, channel=channel, rows=left)
    return left
