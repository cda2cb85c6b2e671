"""Content that an agency words in its own way"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "revisions",
        sa.Column("id", KEY, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("origin", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("base", sa.String(length=64), server_default="", nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("author_id", KEY, nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("published_by", KEY, nullable=True),
        sa.Column("published_at", sa.BigInteger(), nullable=True),
        sa.Column("withdrawn_by", KEY, nullable=True),
        sa.Column("withdrawn_at", sa.BigInteger(), nullable=True),
        sa.Column("edition", sa.Integer(), nullable=True),
        *(
            sa.ForeignKeyConstraint([who], ["persons.id"], name=op.f(f"fk_revisions_{who}"))
            for who in ("author_id", "published_by", "withdrawn_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revisions")),
        sa.UniqueConstraint("kind", "key", "number", name=op.f("uq_revisions_kind_key_number")),
    )
    op.create_index(op.f("ix_revisions_edition"), "revisions", ["edition"])
    op.create_index("ix_revisions_origin", "revisions", ["kind", "origin"])
    for status, key in (("draft", "origin"), ("published", "key")):
        only = sa.text(f"status = '{status}'")
        op.create_index(
            f"uq_revisions_{status}",
            "revisions",
            ["kind", key],
            unique=True,
            sqlite_where=only,
            postgresql_where=only,
        )


def downgrade() -> None:
    op.drop_table("revisions")
