"""A migrated SQLite database, made once and copied: migrating takes longer than most tests."""

import tempfile
from functools import cache
from pathlib import Path

from storage.database import Database
from storage.migrate import migrate


@cache
def _made() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kaona.db"
        db = Database(f"sqlite:///{path}")
        migrate(db)
        db.truncate()
        db.close()
        return path.read_bytes()


def blank(folder: Path) -> str:
    """The URL of a database of one's own in this folder."""
    path = folder / "kaona.db"
    path.write_bytes(_made())
    return f"sqlite:///{path}"
