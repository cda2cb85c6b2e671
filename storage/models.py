"""The tables. Times are UTC microseconds since 1970, so both engines keep, sort and compare
them alike; JSON is text that msgspec reads and writes."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
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
"""The agency's tree. `path` names all units above, joined by " / "."""

GONE = text("left_on > 0")
"""Persons who have left, or will."""

persons = Table(
    "persons",
    metadata,
    Column("id", Key, primary_key=True),
    Column("hr_id", String(64), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("unit_id", ForeignKey("units.id"), nullable=False),
    Column("supervisor_id", ForeignKey("persons.id"), index=True),
    Column("position_type", Text, nullable=False, server_default=""),
    Column("title", Text, nullable=False, server_default=""),
    Column("level", Text, nullable=False, server_default=""),
    Column("kind", String(32), nullable=False, server_default=""),
    Column("zone", String(64), nullable=False, server_default=""),
    Column("started_on", Integer, nullable=False, server_default="0"),
    Column("left_on", Integer, nullable=False, server_default="0"),
    Index("ix_persons_standing", "unit_id", "left_on"),
    Index("ix_persons_name", "name", "left_on", "unit_id"),
    Index("ix_persons_left_on", "left_on", sqlite_where=GONE, postgresql_where=GONE),
)
"""The roster as it stands today. Days are ordinals; 0 means unknown, or still here."""

grants = Table(
    "grants",
    metadata,
    Column("id", Key, primary_key=True),
    Column("person_id", ForeignKey("persons.id"), nullable=False, index=True),
    Column("role", String(16), nullable=False),
    Column("unit_id", ForeignKey("units.id"), index=True),
    Column("from_on", Integer, nullable=False, server_default="0"),
    Column("until_on", Integer),
    Column("source", String(16), nullable=False, server_default="hand"),
    Column("by_id", ForeignKey("persons.id")),
    Column("at", Moment, nullable=False),
)
"""Who may do what: a role over a unit and all below it (no unit: the whole agency), from the
first of the days up to, but not including, the last. `source` tells what the roster says from what
somebody gave by hand."""

postings = Table(
    "postings",
    metadata,
    Column("person_id", ForeignKey("persons.id"), primary_key=True),
    Column("from_on", Integer, primary_key=True),
    Column("until_on", Integer),
    Column("unit_id", ForeignKey("units.id"), nullable=False, index=True),
)
"""Where each person was when; the open one (no `until_on`) is where they are."""

imports = Table(
    "imports",
    metadata,
    Column("id", Key, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("by_id", ForeignKey("persons.id")),
    Column("file_hash", String(64), nullable=False, index=True),
    Column("counts", Text, nullable=False),
)
"""Rosters that were taken over, with how many were added, changed and left."""

roster_changes = Table(
    "roster_changes",
    metadata,
    Column("id", Key, primary_key=True),
    Column("person_id", ForeignKey("persons.id"), nullable=False, index=True),
    Column("effective_on", Integer, nullable=False),
    Column("data", Text, nullable=False),
    Column("import_id", ForeignKey("imports.id")),
    Column("applied_at", Moment),
    Index("ix_roster_changes_effective_on", "effective_on"),
)
"""What the roster says will be so from a later day on."""

claim_codes = Table(
    "claim_codes",
    metadata,
    Column("code_hash", String(64), primary_key=True),
    Column("person_id", ForeignKey("persons.id"), nullable=False, index=True),
    Column("expires_at", Moment, nullable=False),
    Column("used_at", Moment),
    Column("by_id", ForeignKey("persons.id")),
    Column("void", Boolean, nullable=False, server_default=text("false")),
)

claim_tries = Table(
    "claim_tries",
    metadata,
    Column("id", Key, primary_key=True),
    Column("learner_id", ForeignKey("learners.id"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("person_id", ForeignKey("persons.id")),
    Index("ix_claim_tries_learner_id_at", "learner_id", "at"),
    Index("ix_claim_tries_person_id_at", "person_id", "at"),
)
"""Codes that were refused: by the chat that tried, and by the person whose dead code it was."""

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

WITHHELD = text("restricted")
"""Learners who asked that their data rest, or wait to be erased."""

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
    Column("unit_id", ForeignKey("units.id")),
    Column("round", Integer, nullable=False, server_default="1"),
    Column("restricted", Boolean, nullable=False, server_default=text("false")),
    Index("ix_profiles_standing", "unit_id", "personnel_group", "step"),
    Index("ix_profiles_restricted", "person_id", sqlite_where=WITHHELD, postgresql_where=WITHHELD),
)
"""What segments and the gate ask of a learner, narrow enough to read for everybody: a projection
of the state (flows/profile.py), but for `reachable`, `unasked_on`, and `unit_id`, which follows
the roster. Days are ordinals in the learner's zone."""

links = Table(
    "links",
    metadata,
    Column("id", Key, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("person_id", ForeignKey("persons.id"), nullable=False, index=True),
    Column("learner_id", Key, nullable=False),
    Column("what", String(16), nullable=False),
    Column("channel", String(16), nullable=False, server_default=""),
    Column("by_id", ForeignKey("persons.id")),
    Column("data", Text, nullable=False, server_default="{}"),
)
"""Every time a chat was linked to a person, linked anew, merged or unmerged. Without a foreign key
to learners: a merge takes one away, and the journal stays."""

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
    sqlite_autoincrement=True,
)
"""Append-only. An id is never given out twice, not even on SQLite after an erasure: whoever follows
the log by id (`hooks`, `item_stats`) would pass a new fact by."""

milestones = Table(
    "milestones",
    metadata,
    Column("learner_id", ForeignKey("learners.id"), primary_key=True, autoincrement=False),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("step", String(32), primary_key=True),
    Column("at", Moment, nullable=False),
    Index("ix_milestones_at", "at", "step", "learner_id"),
)
"""When each step was finished: the facts of kind `step_done` in a narrow table for reports."""

measures = Table(
    "measures",
    metadata,
    Column("learner_id", ForeignKey("learners.id"), primary_key=True, autoincrement=False),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("area", String(32), primary_key=True),
    Column("before", Float),
    Column("before_error", Float),
    Column("before_at", Moment),
    Column("after", Float),
    Column("after_error", Float),
    Column("after_at", Moment),
)
"""Abilities (logits, with their standard errors) before and after a round, by area: the facts of
kind `measured` in a narrow table for reports."""

evidence = Table(
    "evidence",
    metadata,
    Column("fact_id", ForeignKey("facts.id"), primary_key=True, autoincrement=False),
    Column("learner_id", ForeignKey("learners.id"), nullable=False, index=True),
    Column("at", Moment, nullable=False, index=True),
    Column("round", Integer, nullable=False),
    Column("shared", Boolean, nullable=False, server_default=text("false")),
    Column("confirmed_at", Moment),
    Column("confirmed_by", ForeignKey("persons.id")),
    Column("status", String(16), nullable=False, server_default="new"),
    Column("narrative", Text, nullable=False, server_default=""),
    Column("decided_by", ForeignKey("persons.id")),
    Column("decided_at", Moment),
)
"""Uses at work and what became of them: confirmed by a manager, chosen for the report by HR with
a `narrative` that names nobody. `status` is new, chosen or set_aside."""

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
DOUBT = text("status = 'uncertain' and settled = ''")
"""Rows that may have arrived or not, about which nobody has decided yet."""
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
    Column("settled", String(8), nullable=False, server_default=""),
    Index("ix_outbox_doubt", "occurrence_id", "id", sqlite_where=DOUBT, postgresql_where=DOUBT),
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

campaign_units = Table(
    "campaign_units",
    metadata,
    Column("campaign_id", ForeignKey("campaigns.id"), primary_key=True),
    Column("path", Text, primary_key=True),
)
"""The units that a campaign's segment names; without any it is for the whole agency."""

segments = Table(
    "segments",
    metadata,
    Column("id", Key, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("spec", Text, nullable=False),
    Column("author_id", ForeignKey("persons.id"), nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("changed_at", Moment, nullable=False),
)
"""Segments that were given a name, to be used again."""

segment_units = Table(
    "segment_units",
    metadata,
    Column("segment_id", ForeignKey("segments.id"), primary_key=True),
    Column("path", Text, primary_key=True),
)
"""The units that a named segment has; one without any may be used by everybody over their own."""

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

checks = Table(
    "checks",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), primary_key=True),
    Column("many", Integer, nullable=False),
)
"""What `storage/promises.py` saw of each day."""

# --- figures for managers ------------------------------------------------------------

publications = Table(
    "publications",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("day", Integer, nullable=False, unique=True),
    Column("at", Moment, nullable=False),
)
"""Days on which the figures for managers moved."""

published = Table(
    "published",
    metadata,
    Column("person_id", Key, primary_key=True, autoincrement=False),
    Column("since", Integer, primary_key=True, autoincrement=False),
    Column("unit_id", ForeignKey("units.id")),
    Column("level", Integer, nullable=False, server_default="0"),
    Column("company", Integer, nullable=False, server_default="0"),
)
"""Where the published figures count each person from publication `since` on: in which cell of the
tree (none: nowhere) and how far along. `company` numbers those who moved there together. Without a
foreign key to persons: whoever was erased is counted on under a negative number, which names
nobody, until their company moves on."""

figures = Table(
    "figures",
    metadata,
    Column("number", ForeignKey("publications.number"), primary_key=True, autoincrement=False),
    Column("unit_id", ForeignKey("units.id"), primary_key=True, autoincrement=False),
    Column("data", Text, nullable=False),
)
"""What a publication says of a unit and all below it, ready to be shown."""

# --- the agency's programme and its report -------------------------------------------

programmes = Table(
    "programmes",
    metadata,
    Column("year", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("data", Text, nullable=False),
    Column("by_id", ForeignKey("persons.id")),
    Column("at", Moment, nullable=False),
)
"""The agency's own cycle in one fiscal year (Buddhist era): policy, working group, plan, stages."""

snapshots = Table(
    "snapshots",
    metadata,
    Column("id", Key, primary_key=True),
    Column("report", String(32), nullable=False),
    Column("year", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Column("by_id", ForeignKey("persons.id")),
    Column("hash", String(64), nullable=False),
    Column("data", Text, nullable=False),
    Index("ix_snapshots_report_year", "report", "year"),
)
"""Reports as they were frozen; never changed."""

item_stats = Table(
    "item_stats",
    metadata,
    Column("question", String(64), primary_key=True),
    Column("until", Key, nullable=False),
    Column("data", Text, nullable=False),
)
"""Sums over the answers to each question up to the fact `until`: counts by option, times, and what
its discrimination is computed from. They name nobody."""

weeks = Table(
    "weeks",
    metadata,
    Column("monday", Integer, primary_key=True, autoincrement=False),
    Column("unit_id", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(32), primary_key=True),
    Column("learners", Integer, nullable=False),
    Column("times", Integer, nullable=False),
)
"""Activity of weeks that are over, by unit (0: guests) and kind of fact. They name nobody."""

# --- other systems -------------------------------------------------------------------

tokens = Table(
    "tokens",
    metadata,
    Column("id", Key, primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("person_id", ForeignKey("persons.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("used_at", Moment),
    Column("revoked_at", Moment),
)
"""Keys to the API. Each may do what its person may, and nothing else."""

# --- the console -----------------------------------------------------------------------

accounts = Table(
    "accounts",
    metadata,
    Column("person_id", ForeignKey("persons.id"), primary_key=True, autoincrement=False),
    Column("login", String(64), nullable=False, unique=True),
    Column("password", Text, nullable=False),
    Column("totp", Text, nullable=False),
    Column("totp_step", Integer, nullable=False, server_default="0"),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("oidc_issuer", Text),
    Column("oidc_subject", String(255)),
    Column("oidc_email", Text, nullable=False, server_default=""),
    Index("ix_accounts_oidc", "oidc_issuer", "oidc_subject", unique=True),
)
"""Who may sign in to the console. What they may do there is in `grants`. The secret of the second
factor is sealed; `totp_step` is the last of its codes that was used. Whoever signs in at the
agency's own provider is known by issuer and subject; `oidc_email` is what an admin has entered, by
which the first sign-in there finds its account."""

recoveries = Table(
    "recoveries",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("person_id", ForeignKey("accounts.person_id"), nullable=False, index=True),
)
"""Codes in place of a lost second factor; each is good once."""

invites = Table(
    "invites",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("person_id", ForeignKey("persons.id"), nullable=False, index=True),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)
"""Links by which somebody chooses a password, the first or another."""

sessions = Table(
    "sessions",
    metadata,
    Column("id", Key, primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("person_id", ForeignKey("persons.id"), nullable=False, index=True),
    Column("csrf", String(43), nullable=False),
    Column("lang", String(2), nullable=False),
    Column("agent", String(100), nullable=False, server_default=""),
    Column("created_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("proved_at", Moment, nullable=False),
)
"""Browsers that are signed in, by a hash of what their cookie holds. `proved_at`: when they last
gave their password."""

sign_tries = Table(
    "sign_tries",
    metadata,
    Column("id", Key, primary_key=True),
    Column("at", Moment, nullable=False, index=True),
    Column("who", String(64), nullable=False, index=True),
    Column("origin", String(64), nullable=False, index=True),
)
"""Sign-ins that failed: for whom and from where, as hashes."""

repeats = Table(
    "repeats",
    metadata,
    Column("token_id", ForeignKey("tokens.id"), primary_key=True, autoincrement=False),
    Column("key", String(64), primary_key=True),
    Column("request", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("answer", Text, nullable=False),
    Column("at", Moment, nullable=False),
)
"""What was answered to requests that carried an idempotency key."""

hooks = Table(
    "hooks",
    metadata,
    Column("id", Key, primary_key=True),
    Column("person_id", ForeignKey("persons.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("topics", Text, nullable=False, server_default=""),
    Column("cursor", Key, nullable=False, server_default="0"),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("due", Moment),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("problem", Text, nullable=False, server_default=""),
)
"""Where facts are pushed to: signed webhooks, or a learning record store (xAPI)."""

# --- content -------------------------------------------------------------------------

DRAFT, PUBLISHED = text("status = 'draft'"), text("status = 'published'")

revisions = Table(
    "revisions",
    metadata,
    Column("id", Key, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("key", String(64), nullable=False),
    Column("origin", String(64), nullable=False),
    Column("number", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("base", String(64), nullable=False, server_default=""),
    Column("status", String(16), nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    Column("author_id", ForeignKey("persons.id")),
    Column("at", Moment, nullable=False),
    Column("published_by", ForeignKey("persons.id")),
    Column("published_at", Moment),
    Column("withdrawn_by", ForeignKey("persons.id")),
    Column("withdrawn_at", Moment),
    Column("edition", Integer, index=True),
    UniqueConstraint("kind", "key", "number"),
    Index("ix_revisions_origin", "kind", "origin"),
    Index(
        "uq_revisions_draft",
        *("kind", "origin"),
        unique=True,
        sqlite_where=DRAFT,
        postgresql_where=DRAFT,
    ),
    Index(
        "uq_revisions_published",
        *("kind", "key"),
        unique=True,
        sqlite_where=PUBLISHED,
        postgresql_where=PUBLISHED,
    ),
)
"""Content as an agency words it, entry by entry, laid over the files: draft, published, replaced by
a later one, or withdrawn. `origin` is the entry that it was made from: another than `key` where it
stands in for it. `edition` counts up with whatever changes what learners meet."""

# --- privacy -------------------------------------------------------------------------

audit = Table(
    "audit",
    metadata,
    Column("id", Key, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("by_id", Key),
    Column("action", String(32), nullable=False),
    Column("target", Text, nullable=False, server_default=""),
    Column("result", String(16), nullable=False, server_default="done"),
    Column("data", Text, nullable=False, server_default="{}"),
    Column("hash", String(64), nullable=False),
    Index("ix_audit_target", "target", "id"),
    Index("ix_audit_by_id", "by_id", "id"),
    Index("ix_audit_action", "action", "id"),
    Index("ix_audit_at", "at"),
)
"""Who did what to whose data, each row sealed with the one before (storage/audit.py)."""

erasures = Table(
    "erasures",
    metadata,
    Column("id", Key, primary_key=True),
    Column("who_hash", String(64), nullable=False, index=True),
    Column("at", Moment, nullable=False),
    Column("reason", String(32), nullable=False),
)
"""Who was erased, as salted hashes only; applied again after a restore."""

wishes = Table(
    "wishes",
    metadata,
    Column("id", Key, primary_key=True),
    Column("learner_id", Key, index=True),
    Column("person_id", ForeignKey("persons.id"), index=True),
    Column("kind", String(16), nullable=False),
    Column("detail", Text, nullable=False, server_default=""),
    Column("at", Moment, nullable=False),
    Column("due", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("ended_as", String(16), nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
    Column("by_id", ForeignKey("persons.id")),
)
"""What people ask about their data, with its legal clock: access, correct, object, restrict,
erase."""

downloads = Table(
    "downloads",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("learner_id", ForeignKey("learners.id"), nullable=False, index=True),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)
"""Links to one's own data, for a day."""
