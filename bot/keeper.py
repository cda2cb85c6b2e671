"""Keeping what was promised about people's data: erased in time, purged at night, the ledger of
erasures and the anchors of the audit log written beside the database."""

import asyncio
import hmac
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from msgspec import Struct
from sqlalchemy import Connection, insert, select, update

from bot import lines
from flows.calendar import local
from storage import audit, leases, ledger, promises, retention, wishes
from storage.audit import Anchor
from storage.ledger import Entry
from storage.models import addresses, from_micros, heartbeats, to_micros

if TYPE_CHECKING:
    from bot.app import App

log = structlog.get_logger()

QUIET = range(2, 4)
"""Hours of the night, on the agency's clock, at which the purge begins."""
OVERDUE = timedelta(hours=30)
"""After so long without a purge it begins at any hour."""
LEASE = timedelta(minutes=10)
PURGE, ANCHOR = "nightly: purge", "nightly: anchor"
"""Signs of life of what happens once a day."""


class Check(Struct):
    """A walk along the audit log: how many entries it has seen, of how many."""

    done: int = 0
    of: int = 1
    over: bool = False


class Keeper:
    """What the ticker asks once a minute. Everything in it may be cut short and begun again."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self._ledger = app.var / "erasures.jsonl"
        self._anchors = app.var / "audit_anchors.jsonl"
        self._noted = 0
        """The latest entry that the ledger's file has."""
        self.checking: Check | None = None
        """A verification of the audit log that is under way in this process."""

    async def tidy(self) -> None:
        if await self._app.read(lambda conn: wishes.waiting(conn, self._app.clock())):
            await self.erase()
        if await self._app.read(ledger.newest) != self._noted:  # somebody was erased in a turn
            await self.sync()
        await self.anchor()
        await self.look_back()
        await self.purge_at_night()

    # --- erasing -------------------------------------------------------------------------

    async def erase(self) -> int:
        """Erase for good whose hour has come."""
        erased = 0
        while found := await self._app.dispatcher.run(self._erase_due):
            ids, names, files = found
            await asyncio.to_thread(self._drop, files, names)
            await self.sync()
            erased += ids
        if erased:
            await asyncio.to_thread(self._app.db.truncate)
            log.info("erased", learners=erased)
        return erased

    def _erase_due(
        self, conn: Connection, now: datetime
    ) -> tuple[int, list[str], list[str]] | None:
        ids = wishes.leaving(conn, now)
        return self._erase(conn, ids, now) if ids else None

    def _erase(
        self, conn: Connection, ids: Sequence[int], now: datetime
    ) -> tuple[int, list[str], list[str]]:
        ours = select(addresses.c.address).where(addresses.c.learner_id.in_(ids))
        names = list(conn.execute(ours).scalars())
        files = ledger.erase_learners(conn, ids, now)
        for id in ids:
            audit.note(conn, None, "erased", f"learner:{id}", now)
        return len(ids), names, files

    async def gone(self, files: Iterable[str], names: Iterable[str]) -> None:
        """After an erasure is on disk: what lies beside the database."""
        await asyncio.to_thread(self._drop, list(files), list(names))
        await self.sync()
        await asyncio.to_thread(self._app.db.truncate)

    def _drop(self, files: Iterable[str], names: Iterable[str] = ()) -> None:
        """Photos that nobody refers to any more, and spooled bodies that name an address."""
        for name in files:
            (self._app.var / "photos" / Path(name).name).unlink(missing_ok=True)
        marks = [name.encode() for name in names]
        for path in (self._app.var / "spool").glob("*.bad") if marks else ():
            body = path.read_bytes()
            if any(mark in body for mark in marks):
                path.unlink(missing_ok=True)

    # --- the ledger ----------------------------------------------------------------------

    async def sync(self) -> int:
        """Make ledger and database say the same: what only the file knows is applied again, for
        then a backup has been restored; what only the database knows is written to the file."""
        known = {_key(entry) for entry in await self._app.read(ledger.known)}
        rows = list(await asyncio.to_thread(lambda: list(lines.read(self._ledger))))
        kept = {_key(entry): entry for row in rows if (entry := _entry(row)) is not None}
        oldest = retention.cutoff(self._app.content.register_.rule("logs"), self._app.clock())
        missing = [e for key, e in kept.items() if key not in known and e.at >= oldest]
        again = 0
        if missing:
            again, files = await self._app.dispatcher.run(
                lambda conn, now: self._again(conn, missing, now)
            )
            await asyncio.to_thread(self._drop, files)
            await asyncio.to_thread(self._app.db.truncate)
            log.warning("erased again after a restore", people=again)
        newest = await self._app.read(ledger.newest)
        new = [entry for entry in await self._app.read(ledger.known) if _key(entry) not in kept]
        await asyncio.to_thread(lines.append, self._ledger, [_row(entry) for entry in new])
        self._noted = newest
        return again

    def _again(
        self, conn: Connection, missing: Sequence[Entry], now: datetime
    ) -> tuple[int, list[str]]:
        many, files = ledger.apply(conn, missing, now)
        audit.note(conn, None, "erased_again", "", now, people=many)
        return many, files

    # --- the purge -----------------------------------------------------------------------

    async def purge_at_night(self) -> None:
        """Once a day, in the quiet hours; by one process."""
        app, now = self._app, self._app.clock()
        last = await app.read(partial(_when, name=PURGE))
        if last is None:
            await app.dispatcher.run(partial(_mark, PURGE))
            return
        here = local(now)
        tonight = here.hour in QUIET and local(last).date() < here.date()
        if not tonight and now - last < OVERDUE:
            return
        holder = app.scheduler.name
        mine = await app.dispatcher.run(
            lambda conn, now: leases.acquire(conn, "purge", holder, now, LEASE)
        )
        if mine:
            await self.purge()

    async def purge(self) -> dict[str, int]:
        """Everything that is over, a chunk a transaction; how many rows, by step."""
        done = {step.name: await self._purge_step(step) for step in retention.STEPS}
        done = {name: many for name, many in done.items() if many}
        await self._app.dispatcher.run(lambda conn, now: _purged(conn, now, done))
        await asyncio.to_thread(self._prune)
        for tray in (self._app.roster.uploads, self._app.codes.tray):
            await asyncio.to_thread(tray.tidy)
        await asyncio.to_thread(self._app.db.truncate)
        log.info("purged", rows=sum(done.values()))
        return done

    async def _purge_step(self, step: retention.Step) -> int:
        app, register, many = self._app, self._app.content.register_, 0
        while True:
            now = app.clock()
            keys = await app.read(partial(retention.look, step=step, register=register, now=now))
            ended = 0
            for at in range(0, len(keys), step.chunk):
                part = keys[at : at + step.chunk]
                rows, files = await app.dispatcher.run(
                    partial(_finish, step=step, keys=part, register=register)
                )
                await asyncio.to_thread(self._drop, files)
                ended += rows
            many += ended
            if len(keys) < retention.LOOKED or not ended:
                return many

    async def due(self) -> list[tuple[str, str, int]]:
        """The dry run: step, rule, rows."""
        app, now = self._app, self._app.clock()
        register = app.content.register_

        def count(conn: Connection) -> list[tuple[str, str, int]]:
            return [
                (step.name, step.rule, retention.due(conn, step, register, now))
                for step in retention.STEPS
            ]

        return await app.read(count)

    def _prune(self) -> None:
        """What is too old to be restored needs no ledger; bodies that could not be taken go as
        messages do."""
        rule = self._app.content.register_.rule
        now = self._app.clock()
        oldest = retention.cutoff(rule("logs"), now)
        rows = list(lines.read(self._ledger))
        young = [row for row in rows if (entry := _entry(row)) and entry.at >= oldest]
        if len(young) < len(rows):
            lines.rewrite(self._ledger, young)
        before = retention.cutoff(rule("messages"), now).timestamp()
        for path in (self._app.var / "spool").glob("*.bad"):
            if path.stat().st_mtime < before:
                path.unlink(missing_ok=True)

    # --- promises ------------------------------------------------------------------------

    async def look_back(self) -> None:
        """Once a day, by one process, hold yesterday against what was promised."""
        app = self._app
        yesterday = app.today().toordinal() - 1
        if (await app.read(promises.latest) or 0) >= yesterday:
            return
        holder = app.scheduler.name
        mine = await app.dispatcher.run(
            lambda conn, now: leases.acquire(conn, "check", holder, now, LEASE)
        )
        if not mine:
            return
        now, content = app.clock(), app.content
        found = await app.read(lambda conn: promises.look(conn, yesterday, now, content))
        await app.dispatcher.run(lambda conn, now: promises.keep(conn, yesterday, found))
        if found:
            log.error("promises were broken", day=yesterday, **found)

    # --- anchors of the audit log --------------------------------------------------------

    async def anchor(self) -> None:
        """Once a day, write down outside the database what the last entry is."""
        last = await self._app.read(partial(_when, name=ANCHOR))
        if last is not None and local(last).date() >= local(self._app.clock()).date():
            return
        await self._app.dispatcher.run(partial(_mark, ANCHOR))
        found = await self._app.read(audit.last)
        if found is not None:
            row = {"id": found.id, "hash": found.hash, "mac": self._mac(found)}
            day = local(self._app.clock()).date().isoformat()
            await asyncio.to_thread(lines.append, self._anchors, [{"day": day, **row}])

    def anchors(self) -> list[Anchor]:
        """Those that we have signed."""
        found = []
        for row in lines.read(self._anchors):
            made = Anchor(int(row.get("id", 0)), str(row.get("hash", "")))
            if hmac.compare_digest(self._mac(made), str(row.get("mac", ""))):
                found.append(made)
        return found

    def _mac(self, anchor: Anchor) -> str:
        secret = self._app.settings.secret_key.encode()
        return hmac.new(secret, f"anchor {anchor.id} {anchor.hash}".encode(), "sha256").hexdigest()

    async def verify(self, told: Callable[[int], None] = lambda _: None) -> audit.Broken | None:
        anchors = await asyncio.to_thread(self.anchors)
        return await self._app.read(lambda conn: audit.verify(conn, anchors, told))

    async def check(self, by: int) -> None:
        """Have the log verified while others go on; one at a time. How it ended is an entry."""
        if self.checking is not None:
            return
        start, last = await self._app.read(_span)
        self.checking = Check(of=max(last - start, 1))
        self._app.spawn(self._check(self.checking, by, start))

    async def _check(self, job: Check, by: int, start: int) -> None:
        def told(id: int) -> None:
            job.done = id - start

        try:
            broken = await self.verify(told)
            result = "done" if broken is None else "refused"
            found = {} if broken is None else {"entry": broken.id, "why": broken.why}
            await self._app.dispatcher.run(
                lambda conn, now: audit.note(conn, by, audit.VERIFIED, "", now, result, **found)
            )
        finally:
            job.over, self.checking = True, None


# --- small things --------------------------------------------------------------------


def _span(conn: Connection) -> tuple[int, int]:
    """After which entry the log begins, and its newest."""
    newest = audit.last(conn)
    return audit.beginning(conn), newest.id if newest else 0


def _key(entry: Entry) -> tuple[str, int]:
    return entry.who_hash, to_micros(entry.at)


def _row(entry: Entry) -> dict[str, Any]:
    return {"who": entry.who_hash, "at": to_micros(entry.at), "reason": entry.reason}


def _entry(row: dict[str, Any]) -> Entry | None:
    try:
        return Entry(str(row["who"]), from_micros(int(row["at"])), str(row["reason"]))
    except (KeyError, ValueError, TypeError):
        return None


def _when(conn: Connection, name: str) -> datetime | None:
    found: datetime | None = conn.execute(
        select(heartbeats.c.at).where(heartbeats.c.name == name)
    ).scalar()
    return found


def _mark(name: str, conn: Connection, now: datetime) -> None:
    moved = update(heartbeats).where(heartbeats.c.name == name).values(at=now)
    if not conn.execute(moved).rowcount:
        conn.execute(insert(heartbeats).values(name=name, at=now))


def _purged(conn: Connection, now: datetime, done: dict[str, int]) -> None:
    _mark(PURGE, conn, now)
    audit.note(conn, None, "purged", "", now, rows=done)


def _finish(
    conn: Connection, now: datetime, step: retention.Step, keys: Sequence[Any], register: Any
) -> tuple[int, list[str]]:
    return retention.finish(conn, step, keys, register, now)
