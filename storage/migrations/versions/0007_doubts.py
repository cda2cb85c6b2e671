"""What a person decided about messages of unknown fate"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

DOUBT = sa.text("status = 'uncertain' and settled = ''")


def upgrade() -> None:
    op.add_column(
        "outbox", sa.Column("settled", sa.String(length=8), server_default="", nullable=False)
    )
    op.create_index(
        "ix_outbox_doubt",
        "outbox",
        ["occurrence_id", "id"],
        sqlite_where=DOUBT,
        postgresql_where=DOUBT,
    )


def downgrade() -> None:
    op.drop_index("ix_outbox_doubt", "outbox")
    op.drop_column("outbox", "settled")
