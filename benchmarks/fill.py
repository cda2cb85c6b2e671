"""A database with so many learners, each in the middle of the self-assessment."""

from datetime import UTC, datetime

from sqlalchemy import text

from bot.app import pack
from content.load import load
from flows.types import Said
from storage import turns
from storage.database import Database
from storage.gathered import encode, gather
from storage.models import addresses, learners, to_micros
from storage.wire import Incoming

CHUNK = 100_000
NUMBERS = {
    True: "with recursive n(i) as (select :first union all select i + 1 from n where i < :last)"
    " select i from n",
    False: "select generate_series(cast(:first as bigint), cast(:last as bigint)) as i",
}
HEX = {True: "printf('U%032x', i)", False: "'U' || lpad(to_hex(i), 32, '0')"}


def fill(db: Database, many: int) -> None:
    """Copy one real learner's state `many` times, each with a seed and an address of its own."""
    rest = _state(db).partition(",")[2]
    now = to_micros(datetime.now(UTC))
    numbers, address = NUMBERS[db.sqlite], HEX[db.sqlite]
    seed = "'{\"seed\":' || i || ',' || :rest"
    for first in range(1, many + 1, CHUNK):
        span = {"first": first, "last": min(first + CHUNK - 1, many)}
        with db.write() as conn:
            conn.execute(
                text(
                    "insert into learners (id, created_at, channel, address, state)"
                    f" select i, :now, 'line', {address}, {seed} from ({numbers}) as numbers"
                ),
                {"now": now, "rest": rest, **span},
            )
            conn.execute(
                text(
                    "insert into addresses (channel, address, learner_id, created_at)"
                    f" select 'line', {address}, i, :now from ({numbers}) as numbers"
                ),
                {"now": now, **span},
            )
    with db.write() as conn:
        conn.execute(text("analyze"))


def _state(db: Database) -> str:
    """The state that somebody has who has typed "1" a few times; nobody stays behind."""
    content, now = load(), datetime.now(UTC)
    who = Incoming("line", "b", "", "somebody", Said("1"), now)
    with db.write() as conn:
        for n in range(12):
            said = Incoming("line", "b", f"fill{n}", who.address, Said("1", "", now), now)
            turns.take(conn, [said], now, content, pack)
        found = gather(conn, [who], now)["line", "somebody"]
        stored = encode(found.state).decode()
    with db.write() as conn:
        for table in ("facts", "outbox", "inbox", "timers", "pictures"):
            conn.execute(text(f"delete from {table}"))
        conn.execute(addresses.delete())
        conn.execute(learners.delete())
    return stored
