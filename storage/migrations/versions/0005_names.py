"""People found by a part of their name"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_persons_name", "persons", ["name", "left_on", "unit_id"])


def downgrade() -> None:
    op.drop_index("ix_persons_name", "persons")
