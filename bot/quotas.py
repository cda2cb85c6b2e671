"""`kaona quota`: the month's LINE messages as a table."""

from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from bot.config import Settings
from content.schema import Content
from flows.calendar import keep_time_of, local
from flows.quota import plan
from flows.text import long_date
from storage import quota
from storage.database import Database


def show(settings: Settings, content: Content, out: Console) -> None:
    """Limit, counts, and for each purpose what is to come, what fits, and what will ride on
    answers instead. Reads only: the service may be running."""
    keep_time_of(ZoneInfo(settings.timezone))
    now = datetime.now(UTC)
    db = Database(settings.database_url, lock=False)
    try:
        db.require_current()
        with db.read() as conn:
            month = quota.read(conn, now)
            ahead = quota.forecast(conn, now, content)
    finally:
        db.close()
    most = "no limit, as far as LINE has told" if month.most is None else f"{month.most:,}"
    asked = "not asked yet"
    if month.told_at is not None:
        here = local(month.told_at)
        asked = f"{long_date(here.date(), 'th')} {here:%H:%M}"
    out.print(f"LINE messages in {month.month}: {most}")
    out.print(f"used: {month.told:,} by LINE's count ({asked}), {month.taken:,} by ours")
    room = plan(month.most, month.used, ahead, settings.line_safety)
    coming = Counter(dict(ahead))
    table = Table("purpose", "to come", "has room for", "fits", "has no room", box=None)
    for purpose, may in room.items():
        want = coming[purpose]
        fits = want if may is None else min(want, may)
        limit = "any number" if may is None else f"{may:,}"
        table.add_row(purpose, f"{want:,}", limit, f"{fits:,}", f"{want - fits:,}")
    out.print(table)
    out.print("What has no room rides on an answer; what must be said waits for the next month.")
