"""Roster, grants, figures, reports, other systems, privacy"""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _number_facts_once()
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("target", sa.Text(), server_default="", nullable=False),
        sa.Column("result", sa.String(length=16), server_default="done", nullable=False),
        sa.Column("data", sa.Text(), server_default="{}", nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index("ix_audit_target", ["target"], unique=False)

    op.create_table(
        "erasures",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("who_hash", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
    )
    with op.batch_alter_table("erasures", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_erasures_who_hash"), ["who_hash"], unique=False)

    op.create_table(
        "item_stats",
        sa.Column("question", sa.String(length=64), nullable=False),
        sa.Column("until", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("question", name=op.f("pk_item_stats")),
    )
    op.create_table(
        "publications",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_publications")),
        sa.UniqueConstraint("day", name=op.f("uq_publications_day")),
    )
    op.create_table(
        "weeks",
        sa.Column("monday", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("unit_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("learners", sa.Integer(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("monday", "unit_id", "kind", name=op.f("pk_weeks")),
    )
    op.create_table(
        "figures",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "unit_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("data", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["number"], ["publications.number"], name=op.f("fk_figures_number")
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["units.id"], name=op.f("fk_figures_unit_id")),
        sa.PrimaryKeyConstraint("number", "unit_id", name=op.f("pk_figures")),
    )
    op.create_table(
        "grants",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("unit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("from_on", sa.Integer(), server_default="0", nullable=False),
        sa.Column("until_on", sa.Integer(), nullable=True),
        sa.Column("source", sa.String(length=16), server_default="hand", nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["persons.id"], name=op.f("fk_grants_by_id")),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_grants_person_id")),
        sa.ForeignKeyConstraint(["unit_id"], ["units.id"], name=op.f("fk_grants_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
    )
    with op.batch_alter_table("grants", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_grants_person_id"), ["person_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_grants_unit_id"), ["unit_id"], unique=False)

    op.create_table(
        "hooks",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("topics", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "cursor",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default="0",
            nullable=False,
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("due", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_hooks_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hooks")),
    )
    op.create_table(
        "imports",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("file_hash", sa.String(length=64), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["persons.id"], name=op.f("fk_imports_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
    )
    with op.batch_alter_table("imports", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_imports_file_hash"), ["file_hash"], unique=False)

    op.create_table(
        "links",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column(
            "person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "learner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("what", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=16), server_default="", nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("data", sa.Text(), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["persons.id"], name=op.f("fk_links_by_id")),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_links_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_links")),
    )
    with op.batch_alter_table("links", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_links_person_id"), ["person_id"], unique=False)

    op.create_table(
        "postings",
        sa.Column(
            "person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("from_on", sa.Integer(), nullable=False),
        sa.Column("until_on", sa.Integer(), nullable=True),
        sa.Column("unit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_postings_person_id")),
        sa.ForeignKeyConstraint(["unit_id"], ["units.id"], name=op.f("fk_postings_unit_id")),
        sa.PrimaryKeyConstraint("person_id", "from_on", name=op.f("pk_postings")),
    )
    with op.batch_alter_table("postings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_postings_unit_id"), ["unit_id"], unique=False)

    op.create_table(
        "programmes",
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["persons.id"], name=op.f("fk_programmes_by_id")),
        sa.PrimaryKeyConstraint("year", name=op.f("pk_programmes")),
    )
    op.create_table(
        "published",
        sa.Column(
            "person_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("since", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("unit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("level", sa.Integer(), server_default="0", nullable=False),
        sa.Column("company", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["unit_id"], ["units.id"], name=op.f("fk_published_unit_id")),
        sa.PrimaryKeyConstraint("person_id", "since", name=op.f("pk_published")),
    )
    op.create_table(
        "snapshots",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("report", sa.String(length=32), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["persons.id"], name=op.f("fk_snapshots_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshots")),
    )
    with op.batch_alter_table("snapshots", schema=None) as batch_op:
        batch_op.create_index("ix_snapshots_report_year", ["report", "year"], unique=False)

    op.create_table(
        "tokens",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column(
            "person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_tokens_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("hash", name=op.f("uq_tokens_hash")),
    )
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tokens_person_id"), ["person_id"], unique=False)

    op.create_table(
        "wishes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "learner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_as", sa.String(length=16), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["by_id"], ["persons.id"], name=op.f("fk_wishes_by_id")),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_wishes_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wishes")),
    )
    with op.batch_alter_table("wishes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_wishes_learner_id"), ["learner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_wishes_person_id"), ["person_id"], unique=False)

    op.create_table(
        "downloads",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column(
            "learner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["learner_id"], ["learners.id"], name=op.f("fk_downloads_learner_id")
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_downloads")),
    )
    with op.batch_alter_table("downloads", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_downloads_learner_id"), ["learner_id"], unique=False)

    op.create_table(
        "measures",
        sa.Column(
            "learner_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("round", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("area", sa.String(length=32), nullable=False),
        sa.Column("before", sa.Float(), nullable=True),
        sa.Column("before_error", sa.Float(), nullable=True),
        sa.Column("before_at", sa.BigInteger(), nullable=True),
        sa.Column("after", sa.Float(), nullable=True),
        sa.Column("after_error", sa.Float(), nullable=True),
        sa.Column("after_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["learner_id"], ["learners.id"], name=op.f("fk_measures_learner_id")
        ),
        sa.PrimaryKeyConstraint("learner_id", "round", "area", name=op.f("pk_measures")),
    )
    op.create_table(
        "milestones",
        sa.Column(
            "learner_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("round", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("step", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["learner_id"], ["learners.id"], name=op.f("fk_milestones_learner_id")
        ),
        sa.PrimaryKeyConstraint("learner_id", "round", "step", name=op.f("pk_milestones")),
    )
    with op.batch_alter_table("milestones", schema=None) as batch_op:
        batch_op.create_index("ix_milestones_at", ["at", "step", "learner_id"], unique=False)

    op.create_table(
        "repeats",
        sa.Column(
            "token_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name=op.f("fk_repeats_token_id")),
        sa.PrimaryKeyConstraint("token_id", "key", name=op.f("pk_repeats")),
    )
    op.create_table(
        "roster_changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("effective_on", sa.Integer(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("import_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("applied_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["import_id"], ["imports.id"], name=op.f("fk_roster_changes_import_id")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["persons.id"], name=op.f("fk_roster_changes_person_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roster_changes")),
    )
    with op.batch_alter_table("roster_changes", schema=None) as batch_op:
        batch_op.create_index("ix_roster_changes_effective_on", ["effective_on"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_roster_changes_person_id"), ["person_id"], unique=False
        )

    op.create_table(
        "evidence",
        sa.Column(
            "fact_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column(
            "learner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("shared", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column(
            "confirmed_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("status", sa.String(length=16), server_default="new", nullable=False),
        sa.Column("narrative", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "decided_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["confirmed_by"], ["persons.id"], name=op.f("fk_evidence_confirmed_by")
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["persons.id"], name=op.f("fk_evidence_decided_by")
        ),
        sa.ForeignKeyConstraint(["fact_id"], ["facts.id"], name=op.f("fk_evidence_fact_id")),
        sa.ForeignKeyConstraint(
            ["learner_id"], ["learners.id"], name=op.f("fk_evidence_learner_id")
        ),
        sa.PrimaryKeyConstraint("fact_id", name=op.f("pk_evidence")),
    )
    with op.batch_alter_table("evidence", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_evidence_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_evidence_learner_id"), ["learner_id"], unique=False)

    with op.batch_alter_table("claim_codes", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )
        batch_op.add_column(
            sa.Column("void", sa.Boolean(), server_default=sa.text("false"), nullable=False)
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_claim_codes_by_id"), "persons", ["by_id"], ["id"]
        )

    with op.batch_alter_table("claim_tries", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
            )
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_claim_tries_person_id"), "persons", ["person_id"], ["id"]
        )
        batch_op.create_index("ix_claim_tries_person_id_at", ["person_id", "at"], unique=False)

    op.add_column("persons", sa.Column("level", sa.Text(), server_default="", nullable=False))
    op.add_column(
        "persons", sa.Column("kind", sa.String(length=32), server_default="", nullable=False)
    )
    op.add_column(
        "persons", sa.Column("started_on", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("persons", sa.Column("left_on", sa.Integer(), server_default="0", nullable=False))
    # a role is a grant from now on; others refer to persons, so the table is not made anew
    op.execute(
        "insert into grants (person_id, role, from_on, source, at) "
        "select id, role, 0, 'hand', 0 from persons where role in ('hr', 'approver')"
    )
    op.drop_column("persons", "role")
    op.drop_index("ix_persons_unit_id", "persons")
    op.create_index("ix_persons_standing", "persons", ["unit_id", "left_on"])
    gone = sa.text("left_on > 0")
    op.create_index(
        "ix_persons_left_on", "persons", ["left_on"], sqlite_where=gone, postgresql_where=gone
    )
    op.execute(
        "insert into postings (person_id, from_on, unit_id) select id, 0, unit_id from persons"
    )

    with op.batch_alter_table("profiles", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "unit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
            )
        )
        batch_op.add_column(sa.Column("round", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(
            sa.Column("restricted", sa.Boolean(), server_default=sa.text("false"), nullable=False)
        )
        batch_op.create_index(
            "ix_profiles_standing", ["unit_id", "personnel_group", "step"], unique=False
        )
        batch_op.create_foreign_key(batch_op.f("fk_profiles_unit_id"), "units", ["unit_id"], ["id"])

    withheld = sa.text("restricted")
    op.create_index(
        "ix_profiles_restricted",
        "profiles",
        ["person_id"],
        sqlite_where=withheld,
        postgresql_where=withheld,
    )

    op.execute(
        "update profiles set unit_id = "
        "(select unit_id from persons where persons.id = profiles.person_id)"
    )
    _fill_from_facts(op.get_bind())
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_ROLE)
        op.execute(_LAYER)


# Row-level security, the second layer under storage/scope.py: the role sees only rows of the
# units in the setting kaona.units ("*": all). The owner of the tables, who runs the service,
# passes it by.
_ROLE = """
do $$ begin
    if not exists (select from pg_roles where rolname = 'kaona_scoped') then
        create role kaona_scoped nologin;
    end if;
    execute format('grant kaona_scoped to %I', current_user);
exception
    when duplicate_object or unique_violation then
        execute format('grant kaona_scoped to %I', current_user);
    when others then  -- no privilege, or another database is being migrated at this moment
        raise warning 'role kaona_scoped cannot be made or taken on: no row-level security';
end $$
"""
_ALL = "current_setting('kaona.units', true) = '*'"
_UNITS = "string_to_array(current_setting('kaona.units', true), ',')"
_BY_UNIT = f"{_ALL} or unit_id::text = any ({_UNITS})"
_BY_PERSON = f"{_ALL} or person_id in (select id from persons)"
_BY_LEARNER = f"{_ALL} or learner_id in (select id from learners)"
_POLICIES = {
    **dict.fromkeys(("persons", "profiles", "postings", "figures"), _BY_UNIT),
    **dict.fromkeys(("learners", "grants"), _BY_PERSON),
    **dict.fromkeys(("facts", "milestones", "measures", "evidence", "addresses"), _BY_LEARNER),
    **dict.fromkeys(("certificates", "photos", "pictures", "outbox"), _BY_LEARNER),
}
_TABLES = "\n".join(
    f"""
    alter table {table} enable row level security;
    create policy scoped on {table} for select to kaona_scoped using ({condition});
    grant select on {table} to kaona_scoped;"""
    for table, condition in _POLICIES.items()
)
_LAYER = f"""
do $$ begin
    if not exists (select from pg_roles where rolname = 'kaona_scoped') then
        return;
    end if;
    execute format('grant usage on schema %I to kaona_scoped', current_schema());
    grant select on units, publications to kaona_scoped;{_TABLES}
end $$
"""


def _number_facts_once() -> None:
    """SQLite gives the ids of the newest rows out again once they are deleted. It must not."""
    if op.get_bind().dialect.name == "sqlite":
        never = {"sqlite_autoincrement": True}
        with op.batch_alter_table("facts", recreate="always", table_kwargs=never):
            pass


def _fill_from_facts(conn: sa.Connection) -> None:
    """What the narrow tables would hold had they been there from the start."""
    kinds = "('step_done', 'measured', 'used_at_work')"
    found = conn.execute(
        sa.text(
            f"select id, learner_id, at, kind, data from facts where kind in {kinds} order by id"
        )
    )
    for fact_id, learner_id, at, kind, data in found.all():
        for statement, values in _rows(fact_id, at, kind, json.loads(data)):
            conn.execute(sa.text(statement), {"learner": learner_id, "at": at, **values})
    said = "select f.at, f.data, l.person_id from facts f join learners l on l.id = f.learner_id"
    for at, data, person_id in conn.execute(
        sa.text(f"{said} where f.kind = 'use_confirmed'")
    ).all():
        values = {"at": at, "by": person_id, "fact": json.loads(data)["use"]}
        conn.execute(sa.text(_CONFIRMED), values)


_MILESTONE = (
    "insert into milestones (learner_id, round, step, at) values (:learner, :round, :step, :at) "
    "on conflict do nothing"
)
_MEASURE = (
    "insert into measures (learner_id, round, area, {column}, {column}_error, {column}_at) "
    "values (:learner, :round, :area, :ability, :error, :at) "
    "on conflict (learner_id, round, area) do update set {column} = excluded.{column}, "
    "{column}_error = excluded.{column}_error, {column}_at = excluded.{column}_at"
)
_EVIDENCE = (
    "insert into evidence (fact_id, learner_id, at, round, shared) "
    "values (:fact, :learner, :at, :round, :shared)"
)
_CONFIRMED = "update evidence set confirmed_at = :at, confirmed_by = :by where fact_id = :fact"


def _rows(
    fact_id: int, at: int, kind: str, data: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:

    if kind == "step_done":
        yield _MILESTONE, {"round": data["round"], "step": data["step"]}
    elif kind == "measured":
        column = "before" if data["when"] == "baseline" else "after"
        for area, found in data["areas"].items():
            known = {"ability": found["ability"], "error": found["error"]}
            yield _MEASURE.format(column=column), {"round": data["round"], "area": area, **known}
    else:
        yield _EVIDENCE, {"fact": fact_id, "round": data["round"], "shared": data["shared"]}


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in _POLICIES:
            op.execute(f"drop policy if exists scoped on {table}")
            op.execute(f"alter table {table} disable row level security")

    op.drop_index("ix_profiles_restricted", "profiles")
    with op.batch_alter_table("profiles", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_profiles_unit_id"), type_="foreignkey")
        batch_op.drop_index("ix_profiles_standing")
        batch_op.drop_column("restricted")
        batch_op.drop_column("round")
        batch_op.drop_column("unit_id")

    op.add_column(
        "persons",
        sa.Column("role", sa.String(length=16), server_default="learner", nullable=False),
    )
    op.execute(
        "update persons set role = 'hr' "
        "where id in (select person_id from grants where role = 'hr')"
    )
    op.drop_index("ix_persons_left_on", "persons")
    op.drop_index("ix_persons_standing", "persons")
    op.create_index("ix_persons_unit_id", "persons", ["unit_id"])
    for column in ("level", "kind", "started_on", "left_on"):
        op.drop_column("persons", column)

    with op.batch_alter_table("claim_tries", schema=None) as batch_op:
        batch_op.drop_index("ix_claim_tries_person_id_at")
        batch_op.drop_constraint(batch_op.f("fk_claim_tries_person_id"), type_="foreignkey")
        batch_op.drop_column("person_id")

    with op.batch_alter_table("claim_codes", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_claim_codes_by_id"), type_="foreignkey")
        batch_op.drop_column("void")
        batch_op.drop_column("by_id")

    with op.batch_alter_table("evidence", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_evidence_learner_id"))
        batch_op.drop_index(batch_op.f("ix_evidence_at"))

    op.drop_table("evidence")
    with op.batch_alter_table("roster_changes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_roster_changes_person_id"))
        batch_op.drop_index("ix_roster_changes_effective_on")

    op.drop_table("roster_changes")
    op.drop_table("repeats")
    with op.batch_alter_table("milestones", schema=None) as batch_op:
        batch_op.drop_index("ix_milestones_at")

    op.drop_table("milestones")
    op.drop_table("measures")
    with op.batch_alter_table("downloads", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_downloads_learner_id"))

    op.drop_table("downloads")
    with op.batch_alter_table("wishes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_wishes_person_id"))
        batch_op.drop_index(batch_op.f("ix_wishes_learner_id"))

    op.drop_table("wishes")
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tokens_person_id"))

    op.drop_table("tokens")
    with op.batch_alter_table("snapshots", schema=None) as batch_op:
        batch_op.drop_index("ix_snapshots_report_year")

    op.drop_table("snapshots")
    op.drop_table("published")
    op.drop_table("programmes")
    with op.batch_alter_table("postings", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_postings_unit_id"))

    op.drop_table("postings")
    with op.batch_alter_table("links", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_links_person_id"))

    op.drop_table("links")
    with op.batch_alter_table("imports", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_imports_file_hash"))

    op.drop_table("imports")
    op.drop_table("hooks")
    with op.batch_alter_table("grants", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_grants_unit_id"))
        batch_op.drop_index(batch_op.f("ix_grants_person_id"))

    op.drop_table("grants")
    op.drop_table("figures")
    op.drop_table("weeks")
    op.drop_table("publications")
    op.drop_table("item_stats")
    with op.batch_alter_table("erasures", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_erasures_who_hash"))

    op.drop_table("erasures")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_target")

    op.drop_table("audit")
