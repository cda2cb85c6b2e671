"""Profiles, campaigns, quotas and leases"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("slots", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
    )
    op.create_table(
        "quotas",
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("most", sa.Integer(), nullable=True),
        sa.Column("told", sa.Integer(), server_default="0", nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.Column("taken", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("channel", "month", name=op.f("pk_quotas")),
    )
    op.create_table(
        "campaigns",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column(
            "author_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("checked_hash", sa.String(length=64), server_default="", nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=True),
        sa.Column(
            "approver_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("approved_at", sa.BigInteger(), nullable=True),
        sa.Column("next_due", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["approver_id"], ["persons.id"], name=op.f("fk_campaigns_approver_id")
        ),
        sa.ForeignKeyConstraint(["author_id"], ["persons.id"], name=op.f("fk_campaigns_author_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaigns")),
    )
    with op.batch_alter_table("campaigns", schema=None) as batch_op:
        batch_op.create_index("ix_campaigns_next_due", ["next_due"], unique=False)

    op.create_table(
        "campaign_log",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "campaign_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("what", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["persons.id"], name=op.f("fk_campaign_log_by_id")),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_campaign_log_campaign_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_log")),
    )
    with op.batch_alter_table("campaign_log", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_campaign_log_campaign_id"), ["campaign_id"], unique=False
        )

    op.create_table(
        "occurrences",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "campaign_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("cursor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("size", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_occurrences_campaign_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_occurrences")),
        sa.UniqueConstraint("campaign_id", "due", name=op.f("uq_occurrences_campaign_id_due")),
    )
    with op.batch_alter_table("occurrences", schema=None) as batch_op:
        batch_op.create_index("ix_occurrences_status", ["status"], unique=False)

    op.create_table(
        "profiles",
        sa.Column(
            "learner_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=128), nullable=False),
        sa.Column("reachable", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("lang", sa.String(length=2), nullable=False),
        sa.Column("zone", sa.String(length=64), server_default="", nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("personnel_group", sa.String(length=32), server_default="", nullable=False),
        sa.Column("step", sa.String(length=32), server_default="", nullable=False),
        sa.Column("bands", sa.Text(), server_default="", nullable=False),
        sa.Column("welcomed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("stopped", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("nudges", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("rests_until", sa.BigInteger(), nullable=True),
        sa.Column("active_on", sa.Integer(), server_default="0", nullable=False),
        sa.Column("unasked_on", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["learner_id"], ["learners.id"], name=op.f("fk_profiles_learner_id")
        ),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_profiles_person_id")),
        sa.PrimaryKeyConstraint("learner_id", name=op.f("pk_profiles")),
    )
    with op.batch_alter_table("profiles", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_profiles_person_id"), ["person_id"], unique=False)

    op.create_table(
        "holdouts",
        sa.Column(
            "occurrence_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "learner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["learner_id"], ["learners.id"], name=op.f("fk_holdouts_learner_id")
        ),
        sa.ForeignKeyConstraint(
            ["occurrence_id"], ["occurrences.id"], name=op.f("fk_holdouts_occurrence_id")
        ),
        sa.PrimaryKeyConstraint("occurrence_id", "learner_id", name=op.f("pk_holdouts")),
    )
    with op.batch_alter_table("holdouts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_holdouts_learner_id"), ["learner_id"], unique=False)

    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("purpose", sa.String(length=16), server_default="reply", nullable=False)
        )
        batch_op.add_column(
            sa.Column("chosen", sa.Boolean(), server_default=sa.text("false"), nullable=False)
        )
        batch_op.add_column(
            sa.Column("counted_on", sa.Integer(), server_default="0", nullable=False)
        )
        batch_op.add_column(sa.Column("occurrence_id", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("message_id", sa.BigInteger(), nullable=True))
        batch_op.add_column(
            sa.Column("chunk", sa.String(length=36), server_default="", nullable=False)
        )
        batch_op.drop_constraint("fk_outbox_learner_id", type_="foreignkey")
        batch_op.drop_index(batch_op.f("ix_outbox_channel_address_id"))
        batch_op.drop_index(
            batch_op.f("ix_outbox_open"), sqlite_where=sa.text("status in ('queued', 'sending')")
        )
        batch_op.create_index(
            "ix_outbox_open",
            ["channel", "lane", "due", "id"],
            unique=False,
            sqlite_where=sa.text("status in ('queued', 'sending')"),
            postgresql_where=sa.text("status in ('queued', 'sending')"),
        )
        batch_op.create_index(
            "ix_outbox_history",
            ["channel", "address", "id"],
            unique=False,
            sqlite_where=sa.text("channel in ('web', 'terminal')"),
            postgresql_where=sa.text("channel in ('web', 'terminal')"),
        )
        batch_op.create_index(
            "ix_outbox_occurrence_id",
            ["occurrence_id", "id"],
            unique=False,
            sqlite_where=sa.text("occurrence_id is not null"),
            postgresql_where=sa.text("occurrence_id is not null"),
        )
        batch_op.create_index(
            "ix_outbox_riding",
            ["chunk"],
            unique=False,
            sqlite_where=sa.text("status = 'riding'"),
            postgresql_where=sa.text("status = 'riding'"),
        )
        batch_op.create_index(
            "ix_outbox_unasked",
            ["learner_id"],
            unique=False,
            sqlite_where=sa.text("status in ('queued', 'held') and purpose <> 'reply'"),
            postgresql_where=sa.text("status in ('queued', 'held') and purpose <> 'reply'"),
        )

    with op.batch_alter_table("persons", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("zone", sa.String(length=64), server_default="", nullable=False)
        )

    # until now everything personal was somebody's word, or a reminder about to expire
    op.execute("update outbox set purpose = 'word' where lane = 'personal'")


def downgrade() -> None:

    with op.batch_alter_table("persons", schema=None) as batch_op:
        batch_op.drop_column("zone")

    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_outbox_unasked",
            sqlite_where=sa.text("status in ('queued', 'held') and purpose <> 'reply'"),
            postgresql_where=sa.text("status in ('queued', 'held') and purpose <> 'reply'"),
        )
        batch_op.drop_index(
            "ix_outbox_riding",
            sqlite_where=sa.text("status = 'riding'"),
            postgresql_where=sa.text("status = 'riding'"),
        )
        batch_op.drop_index(
            "ix_outbox_occurrence_id",
            sqlite_where=sa.text("occurrence_id is not null"),
            postgresql_where=sa.text("occurrence_id is not null"),
        )
        batch_op.drop_index(
            "ix_outbox_history",
            sqlite_where=sa.text("channel in ('web', 'terminal')"),
            postgresql_where=sa.text("channel in ('web', 'terminal')"),
        )
        batch_op.drop_index(
            "ix_outbox_open",
            sqlite_where=sa.text("status in ('queued', 'sending')"),
            postgresql_where=sa.text("status in ('queued', 'sending')"),
        )
        batch_op.create_index(
            batch_op.f("ix_outbox_open"),
            ["channel", "due", "id"],
            unique=False,
            sqlite_where=sa.text("status in ('queued', 'sending')"),
        )
        batch_op.create_index(
            batch_op.f("ix_outbox_channel_address_id"), ["channel", "address", "id"], unique=False
        )
        batch_op.create_foreign_key("fk_outbox_learner_id", "learners", ["learner_id"], ["id"])
        batch_op.drop_column("chunk")
        batch_op.drop_column("message_id")
        batch_op.drop_column("occurrence_id")
        batch_op.drop_column("counted_on")
        batch_op.drop_column("chosen")
        batch_op.drop_column("purpose")

    with op.batch_alter_table("holdouts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_holdouts_learner_id"))

    op.drop_table("holdouts")
    with op.batch_alter_table("profiles", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_profiles_person_id"))

    op.drop_table("profiles")
    with op.batch_alter_table("occurrences", schema=None) as batch_op:
        batch_op.drop_index("ix_occurrences_status")

    op.drop_table("occurrences")
    with op.batch_alter_table("campaign_log", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_campaign_log_campaign_id"))

    op.drop_table("campaign_log")
    with op.batch_alter_table("campaigns", schema=None) as batch_op:
        batch_op.drop_index("ix_campaigns_next_due")

    op.drop_table("campaigns")
    op.drop_table("quotas")
    op.drop_table("messages")
    op.drop_table("leases")
