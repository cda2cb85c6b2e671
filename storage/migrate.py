"""Bringing a database to the version that this code expects, in one transaction."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from storage.database import Database

LOCK = 7_205_001
"""Number of the advisory lock that keeps two migrations of one PostgreSQL apart."""


def migrate(db: Database) -> None:
    """Upgrade to the newest version; a crash leaves the old one or the new one."""
    db.version()  # says what is wrong with a database that cannot be opened
    with db.write() as conn:
        if not db.sqlite:
            conn.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = conn
        command.upgrade(config, "head")
