"""The learners of a batch: found by address or by id, locked in one order, made if they are new."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.json import Decoder, Encoder
from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from flows.types import State
from storage.models import addresses, learners
from storage.wire import Incoming

encode = Encoder().encode
decode_state = Decoder(State).decode


class Gathered(Struct):
    """A learner as locked for this batch."""

    id: int
    state: State
    channel: str
    address: str
    reachable: bool = True
    stored: str = ""
    """The new state as JSON, once it has changed."""
    profile: dict[str, Any] = {}
    """The new profile, once it may have changed."""
    claimed: bool = False
    """Is linked to another person than before, or heard for the first time since."""
    erased: bool = False


Who = int | tuple[str, str]


def gather(conn: Connection, batch: Sequence[Incoming], now: datetime) -> dict[Who, Gathered]:
    """The learners of a batch, locked; by (channel, address), or by id for timers."""
    wanted = {(x.channel, x.address) for x in batch if not x.learner}
    ids = {x.learner for x in batch if x.learner}
    found = _locked(conn, wanted, ids)
    missing = wanted - found.keys()
    if missing:
        firsts = {(x.channel, x.address): x for x in reversed(batch)}
        for pair in sorted(missing):
            create(conn, *pair, now, lang=firsts[pair].lang)
        found |= _locked(conn, missing, set())
    return found


_COLUMNS = (
    learners.c.id,
    learners.c.state,
    learners.c.channel,
    learners.c.address,
    addresses.c.channel,
    addresses.c.address,
    addresses.c.reachable,
)
_BY_ADDRESS = (
    select(*_COLUMNS)
    .join(addresses, addresses.c.learner_id == learners.c.id)
    .where(
        addresses.c.channel.in_(bindparam("channels", expanding=True)),
        addresses.c.address.in_(bindparam("wanted", expanding=True)),
    )
    .order_by(learners.c.id)
    .with_for_update(of=learners, key_share=True)
)
_BY_ID = (
    select(learners.c.id, learners.c.state, learners.c.channel, learners.c.address)
    .where(learners.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(learners.c.id)
    .with_for_update(key_share=True)
)


def _locked(
    conn: Connection, wanted: Iterable[tuple[str, str]], ids: Iterable[int]
) -> dict[Who, Gathered]:
    """One lock order for everybody: by id. Timers and messages of one batch may name the
    same learner, who is then one record under two names."""
    found: dict[Who, Gathered] = {}
    by_id: dict[int, Gathered] = {}
    wanted, ids = sorted(wanted), sorted(ids)
    if wanted:
        channels, names = zip(*wanted, strict=True)
        for row in conn.execute(_BY_ADDRESS, {"channels": sorted(set(channels)), "wanted": names}):
            who = by_id.get(row[0])
            if who is None:
                who = by_id[row[0]] = Gathered(row[0], decode_state(row[1]), row[2], row[3])
            who.reachable = who.reachable and row[6]
            found[(row[4], row[5])] = who
    if ids:
        for learner_id, stored, channel, address in conn.execute(_BY_ID, {"ids": ids}):
            known = by_id.get(learner_id)
            new = Gathered(learner_id, decode_state(stored), channel, address)
            found[learner_id] = known or new
    return found


def create(conn: Connection, channel: str, address: str, now: datetime, *, lang: Any = None) -> int:
    """A new learner at an address; if another process was first, that one's learner."""
    learner_id: int = conn.execute(
        insert(learners)
        .values(created_at=now, channel=channel, address=address, state="{}")
        .returning(learners.c.id)
    ).scalar_one()
    state = State(learner_id, lang=lang or "th")
    conn.execute(
        update(learners).where(learners.c.id == learner_id).values(state=encode(state).decode())
    )
    new = {"channel": channel, "address": address, "learner_id": learner_id, "created_at": now}
    made = insert_new(conn, addresses).values(new).returning(addresses.c.learner_id)
    if conn.execute(made).first():
        return learner_id
    conn.execute(delete(learners).where(learners.c.id == learner_id))
    theirs = select(addresses.c.learner_id).where(
        addresses.c.channel == channel, addresses.c.address == address
    )
    other: int = conn.execute(theirs).scalar_one()
    return other


def insert_new(conn: Connection, table: Any) -> Any:
    """An INSERT that leaves a row that is already there as it is."""
    make = sqlite.insert if conn.dialect.name == "sqlite" else postgresql.insert
    return make(table).on_conflict_do_nothing()
