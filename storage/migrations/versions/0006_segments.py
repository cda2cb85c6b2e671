"""Named segments, and the units that campaigns are for"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _units_of("campaign", "campaigns")
    op.create_table(
        "segments",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("author_id", KEY, nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["persons.id"], name=op.f("fk_segments_author_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segments")),
        sa.UniqueConstraint("name", name=op.f("uq_segments_name")),
    )
    _units_of("segment", "segments")
    _fill()


def _units_of(what: str, table: str) -> None:
    op.create_table(
        f"{what}_units",
        sa.Column(f"{what}_id", KEY, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            [f"{what}_id"], [f"{table}.id"], name=op.f(f"fk_{what}_units_{what}_id")
        ),
        sa.PrimaryKeyConstraint(f"{what}_id", "path", name=op.f(f"pk_{what}_units")),
    )


def _fill() -> None:
    """Campaigns that are there already are for the units that they name."""
    conn = op.get_bind()
    rows = conn.execute(sa.text("select id, spec from campaigns")).all()
    for id, spec in rows:
        for path in dict.fromkeys(json.loads(spec).get("segment", {}).get("units", ())):
            add = sa.text("insert into campaign_units (campaign_id, path) values (:id, :path)")
            conn.execute(add, {"id": id, "path": path})


def downgrade() -> None:
    for table in ("segment_units", "segments", "campaign_units"):
        op.drop_table(table)
