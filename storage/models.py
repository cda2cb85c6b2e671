"""The tables. Times are UTC microseconds since 1970, so both engines keep, sort and compare
them alike; JSON is text that msgspec reads and writes."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@lru_cache(maxsize=64)  # a batch writes the same moment many times
def to_micros(when: datetime) -> int:
    """Microseconds since 1970; refuses a time without a zone."""
    return (when - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)


class Moment(TypeDecorator[datetime]):
    """An aware point in time, stored as an integer."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_micros(value)


# SQLite only numbers rows by itself in a column declared INTEGER
Key = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# --- the agency ----------------------------------------------------------------------

units = Table(
    "units",
    metadata,
    Column("id", Key, primary_key=True),
    Column("parent_id", ForeignKey("units.id"), index=True),
    Column("name", Text, nullable=False),
    Column("path", Text, nullable=False, unique=True),
)

persons = Table(
    "persons",
    metadata,
    Column("id", Key, primary_key=True),
    Column("hr_id", String(64), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("unit_id", ForeignKey("units.id"), nullable=False, index=True),
    Column("supervisor_id", ForeignKey("persons.id"), index=True),
    Column("position_type", Text, nullable=False, server_default=""),
    Column("title", Text, nullable=False, server_default=""),
    Column("role", String(16), nullable=False, server_default="learner"),
    Column("zone", String(64), nullable=False, server_default=""),
)

claim_codes = Table(
    "claim_codes",
    metadata,
    Column("code_hash", String(64), primary_key=True),
    Column("person_id", ForeignKey("persons.id"), nullable=False, index=True),
    Column("expires_at", Moment, nullable=False),
    Column("used_at", Moment),
)

claim_tries = Table(
    "claim_tries",
    metadata,
    Column("id", Key, primary_key=True),
    Column("learner_id", ForeignKey("learners.id"), nullable=False),
    Column("at", Moment, nullable=False),
    Index("ix_claim_tries_learner_id_at", "learner_id", "at"),
)

# --- learners ------------------------------------------------------------------------

learners = Table(
    "learners",
    metadata,
    Column("id", Key, primary_key=True),
    Column("person_id", ForeignKey("persons.id"), unique=True),
    Column("created_at", Moment, nullable=False),
    Column("channel", String(16), nullable=False),
    Column("address", String(128), nullable=False),
    Column("state", Text, nullable=False),
)

addresses = Table(
    "addresses",
    metadata,
    Column("channel", String(16), primary_key=True),
    Column("address", String(128), primary_key=True),
    Column("learner_id", ForeignKey("learners.id"), nullable=False, index=True),
    Column("created_at", Moment, nullable=False),
    Column("reachable", Boolean, nullable=False, server_default=text("true")),
)

profiles = Table(
    "profiles",
    metadata,
    Column("learner_id", ForeignKey("learners.id"), primary_key=True, autoincrement=False),
    Column("channel", String(16), nullable=False),
    Column("address", String(128), nullable=False),
    Column("reachable", Boolean, nullable=False, server_default=text("true")),
    Column("lang", String(2), nullable=False),
    Column("zone", String(64), nullable=False, server_default=""),
    Column("person_id", ForeignKey("persons.id"), index=True),
    Column("personnel_group", String(32), nullable=False, server_default=""),
    Column("step", String(32), nullable=False, server_default=""),
    Column("bands", Text, nullable=False, server_default=""),
    Column("welcomed", Boolean, nullable=False, server_default=text("false")),
    Column("stopped", Boolean, nullable=False, server_default=text("false")),
    Column("nudges", Boolean, nullable=False, server_default=text("false")),
    Column("rests_until", Moment),
    Column("active_on", Integer, nullable=False, server_default="0"),
    Column("unasked_on", Integer, nullable=False, server_default="0"),
)
"""What segments and the gate ask of a learner, narrow enough to read for everybody: a projection
of the state (flows/profile.py), but for `reachable` and `unasked_on`. Days are ordinals in the
learner's zone."""

# --- what happened -------------------------------------------------------------------

inbox = Table(
    "inbox",
    metadata,
    Column("channel", String(16), primary_key=True),
    Column("bot", String(64), primary_key=True),
    Column("event_id", String(128), primary_key=True),
    Column("at", Moment, nullable=False),
)

facts = Table(
    "facts",
    metadata,
    Column("id", Key, primary_key=True),
    Column("learner_id", ForeignKey("learners.id"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("data", Text, nullable=False),
    Index("ix_facts_learner_id_kind", "learner_id", "kind"),
    Index("ix_facts_kind_at", "kind", "at"),
)

parked = Table(
    "parked",
    metadata,
    Column("id", Key, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("channel", String(16), nullable=False),
    Column("bot", String(64), nullable=False),
    Column("event_id", String(128), nullable=False),
    Column("address", String(128), nullable=False),
    Column("event", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("ended_at", Moment),
    Column("ended_as", String(16)),
)

# --- what is due ---------------------------------------------------------------------

timers = Table(
    "timers",
    metadata,
    Column("id", Key, primary_key=True),
    Column("learner_id", ForeignKey("learners.id"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("key", String(64), nullable=False),
    Column("due", Moment, nullable=False),
    Column("data", Text, nullable=False),
    UniqueConstraint("learner_id", "kind", "key"),
    Index("ix_timers_due", "due"),
)

OPEN = text("status in ('queued', 'sending')")
"""Rows that wait for the sender or are with it."""
UNASKED = text("status in ('queued', 'held') and purpose <> 'reply'")
"""Rows that nobody asked for and that have not left; `held` ones wait for a free reply."""
UNASKED_ROWS = text("outbox.status in ('queued', 'held') and outbox.purpose <> 'reply'")
"""The same where other tables are joined."""
RIDING = text("status = 'riding'")
"""Rows whose words are carried by another row, which `chunk` names."""
PUSHED = text("occurrence_id is not null")
"""Rows of campaigns."""
KEEPS_HISTORY = ("web", "terminal")
HISTORY = text(f"channel in {KEEPS_HISTORY}")
"""Rows that a page shows again; the platforms keep their messages themselves."""
# An engine uses a partial index only for a query that says the same in the same words.

# Without foreign keys: a campaign would have them checked a million times over.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Key, primary_key=True),
    Column("key", String(36), nullable=False, unique=True),
    Column("learner_id", Key),
    Column("channel", String(16), nullable=False),
    Column("address", String(128), nullable=False),
    Column("lane", String(16), nullable=False),
    Column("payload", Text, nullable=False),
    Column("reply_token", String(256), nullable=False, server_default=""),
    Column("token_until", Moment),
    Column("created_at", Moment, nullable=False),
    Column("due", Moment, nullable=False),
    Column("deadline", Moment, nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("doubtful", Boolean, nullable=False, server_default=text("false")),
    Column("lease_until", Moment),
    Column("ended_at", Moment),
    Column("reason", Text, nullable=False, server_default=""),
    Column("platform_id", String(128), nullable=False, server_default=""),
    Column("purpose", String(16), nullable=False, server_default="reply"),
    Column("chosen", Boolean, nullable=False, server_default=text("false")),
    Column("counted_on", Integer, nullable=False, server_default="0"),
    Column("occurrence_id", BigInteger),
    Column("message_id", BigInteger),
    Column("chunk", String(36), nullable=False, server_default=""),
    Index(
        "ix_outbox_open",
        "channel",
        "lane",
        "due",
        "id",
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    ),
    Index(
        "ix_outbox_history",
        "channel",
        "address",
        "id",
        sqlite_where=HISTORY,
        postgresql_where=HISTORY,
    ),
    Index("ix_outbox_learner_id", "learner_id"),
    Index("ix_outbox_unasked", "learner_id", sqlite_where=UNASKED, postgresql_where=UNASKED),
    Index("ix_outbox_riding", "chunk", sqlite_where=RIDING, postgresql_where=RIDING),
    Index(
        "ix_outbox_occurrence_id",
        "occurrence_id",
        "id",
        sqlite_where=PUSHED,
        postgresql_where=PUSHED,
    ),
)

pictures = Table(
    "pictures",
    metadata,
    Column("token", String(32), primary_key=True),
    Column("learner_id", ForeignKey("learners.id"), index=True),
    Column("picture", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
)

photos = Table(
    "photos",
    metadata,
    Column("key", String(36), primary_key=True),
    Column("learner_id", ForeignKey("learners.id"), nullable=False, index=True),
    Column("channel", String(16), nullable=False),
    Column("ref", String(256), nullable=False),
    Column("file", Text, nullable=False, server_default=""),
    Column("created_at", Moment, nullable=False),
)

certificates = Table(
    "certificates",
    metadata,
    Column("code", String(32), primary_key=True),
    Column("learner_id", ForeignKey("learners.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("round", Integer, nullable=False),
    Column("issued_at", Moment, nullable=False),
    Column("data", Text, nullable=False),
    UniqueConstraint("learner_id", "round"),
)

# --- campaigns -----------------------------------------------------------------------

campaigns = Table(
    "campaigns",
    metadata,
    Column("id", Key, primary_key=True),
    Column("name", Text, nullable=False),
    Column("spec", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("author_id", ForeignKey("persons.id"), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("checked_hash", String(64), nullable=False, server_default=""),
    Column("checked_at", Moment),
    Column("approver_id", ForeignKey("persons.id")),
    Column("approved_at", Moment),
    Column("next_due", Moment),
    Column("reason", Text, nullable=False, server_default=""),
    Index("ix_campaigns_next_due", "next_due"),
)

occurrences = Table(
    "occurrences",
    metadata,
    Column("id", Key, primary_key=True),
    Column("campaign_id", ForeignKey("campaigns.id"), nullable=False),
    Column("due", Moment, nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("cursor", BigInteger, nullable=False, server_default="0"),
    Column("size", Integer, nullable=False, server_default="0"),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),
    UniqueConstraint("campaign_id", "due"),
    Index("ix_occurrences_status", "status"),
)
"""One sending of a campaign: unique by its due time."""

holdouts = Table(
    "holdouts",
    metadata,
    Column("occurrence_id", ForeignKey("occurrences.id"), primary_key=True),
    Column("learner_id", ForeignKey("learners.id"), primary_key=True, index=True),
)
"""Who would have been sent to and was not, so that the effect can be seen."""

messages = Table(
    "messages",
    metadata,
    Column("id", Key, primary_key=True),
    Column("payload", Text, nullable=False),
    Column("slots", Text, nullable=False, server_default=""),
)
"""What many outbox rows say; `slots` names what is filled in for each person."""

campaign_log = Table(
    "campaign_log",
    metadata,
    Column("id", Key, primary_key=True),
    Column("campaign_id", ForeignKey("campaigns.id"), nullable=False, index=True),
    Column("at", Moment, nullable=False),
    Column("by_id", ForeignKey("persons.id")),
    Column("what", String(32), nullable=False),
    Column("detail", Text, nullable=False, server_default=""),
)

# --- limits and leases ---------------------------------------------------------------

quotas = Table(
    "quotas",
    metadata,
    Column("channel", String(16), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("most", Integer),
    Column("told", Integer, nullable=False, server_default="0"),
    Column("told_at", Moment),
    Column("taken", Integer, nullable=False, server_default="0"),
)
"""What a month may cost: `most` and `told` as the platform says, `taken` as we have counted."""

leases = Table(
    "leases",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("until", Moment, nullable=False),
)
"""Who may send on a channel: one process at a time."""

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("at", Moment, nullable=False),
)
