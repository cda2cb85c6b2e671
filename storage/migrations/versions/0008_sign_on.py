"""Accounts of the agency's own provider; a journal that can be searched"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

OLD = "ix_audit_target"
INDICES = {
    OLD: ["target", "id"],
    "ix_audit_by_id": ["by_id", "id"],
    "ix_audit_action": ["action", "id"],
    "ix_audit_at": ["at"],
}


def upgrade() -> None:
    op.add_column("accounts", sa.Column("oidc_issuer", sa.Text(), nullable=True))
    op.add_column("accounts", sa.Column("oidc_subject", sa.String(length=255), nullable=True))
    email = sa.Column("oidc_email", sa.Text(), server_default="", nullable=False)
    op.add_column("accounts", email)
    op.create_index("ix_accounts_oidc", "accounts", ["oidc_issuer", "oidc_subject"], unique=True)
    op.drop_index(OLD, "audit")
    for name, columns in INDICES.items():
        op.create_index(name, "audit", columns)


def downgrade() -> None:
    for name in INDICES:
        op.drop_index(name, "audit")
    op.create_index(OLD, "audit", ["target"])
    op.drop_index("ix_accounts_oidc", "accounts")
    for column in ("oidc_issuer", "oidc_subject", "oidc_email"):
        op.drop_column("accounts", column)
