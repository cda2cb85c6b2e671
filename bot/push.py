"""Pushing facts out: to webhooks one by one, to learning record stores in batches; in order, until
they are accepted."""

import asyncio
import base64
import contextlib
import hmac
import json
import os
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import structlog
from msgspec.json import encode
from sqlalchemy import Connection

from bot.dispatch import Unavailable
from bot.outside import Answer, Outside, basic
from bot.vault import Sealed
from flows import xapi
from storage import hooks, leases, records, settled
from storage.records import Page, Told
from storage.scope import Scope, scope_of

if TYPE_CHECKING:
    from bot.app import App

log = structlog.get_logger()

BATCH = 100
"""Statements in one request to a learning record store."""
SOME = 20
"""Events to a webhook between two notes of how far it has come."""
TURN = 20.0
"""Seconds that one hook may take before the next look around."""
TTL = timedelta(seconds=60)
"""A turn and the request that it ends with fit in."""
VERSION = "1.0.3"
WHSEC = "whsec_"
CONFLICT, GONE = 409, 410


class Refused(Exception):
    """Something was not accepted; everything up to the fact `far` was."""

    def __init__(self, far: int, answer: Answer) -> None:
        super().__init__(far, answer.status)
        self.far = far
        self.answer = answer


class Pusher:
    """Looks after all hooks, in one process at a time."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self._outside = Outside(app.settings.friends)
        self._mark: settled.Mark | None = None
        self._last = 0
        self._led = False
        self._holder = f"{os.getpid()}:{uuid4().hex}"
        self._keys = {kind: app.vault.key(f"pseudonyms {kind}") for kind in hooks.KINDS}
        """Each kind of hook has pseudonyms of its own: what one is told is not easily laid beside
        what another is."""

    async def tick(self) -> None:
        """Push what there is to whoever may be pushed to."""
        app = self._app
        due: Sequence[Any] = await app.read(lambda conn: hooks.due(conn, app.clock()))
        if due and await self._leads():
            await app.read(self._look)
            await asyncio.gather(*map(self._serve, due))

    async def close(self) -> None:
        """Whoever waits for the lease need not wait until it is over: this may have been a command
        of a second."""
        await self._outside.close()
        if self._led:
            with contextlib.suppress(Unavailable):
                await self._app.dispatcher.run(
                    lambda conn, now: leases.release(conn, "push", self._holder)
                )

    async def _leads(self) -> bool:
        self._led = await self._app.dispatcher.run(self._lease)
        return self._led

    def _lease(self, conn: Connection, now: datetime) -> bool:
        return leases.acquire(conn, "push", self._holder, now, TTL)

    def _look(self, conn: Connection) -> None:
        """Learn how far the log is settled. A mark that is not settled yet is kept, so that its
        turn comes however busy the log is."""
        if self._mark is None and settled.newest(conn) > self._last:
            self._mark = settled.mark(conn)
        if self._mark is not None and settled.is_settled(conn, self._mark):
            self._last, self._mark = self._mark.last, None

    # --- one hook ------------------------------------------------------------------------

    async def _serve(self, hook: Any) -> None:
        """Until there is nothing more, or its time is over, or it refuses."""
        until, cursor = time.monotonic() + TURN, hook.cursor
        while cursor < self._last and time.monotonic() < until:
            page = await self._app.read(partial(self._read, hook, cursor))
            if page is None:
                await self._end(hook, "its person may not have facts pushed out any more")
                return
            try:
                after = await self._push(hook, page, until)
            except Refused as refused:
                if refused.far > cursor:
                    await self._move(hook, cursor, refused.far)
                await self._fail(hook, refused.answer)
                return
            if not await self._move(hook, cursor, after):
                return
            cursor = after

    def _read(self, hook: Any, cursor: int, conn: Connection) -> Page | None:
        """What comes next, as the hook's person may know it at this moment."""
        scope = scope_of(conn, hook.person_id, self._app.clock())
        if not hooks.may_have(scope):
            return None
        if hook.kind == "xapi":
            return records.page(conn, scope, xapi.READS, cursor, self._last, BATCH)
        topics = hook.topics.split() or list(records.TOPICS)
        return records.page(conn, scope, topics, cursor, self._last, SOME)

    async def _move(self, hook: Any, before: int, after: int) -> bool:
        """Note how far it has come; whether it stood where we thought."""
        return await self._app.dispatcher.run(
            lambda conn, now: hooks.moved(conn, hook.id, before, after)
        )

    async def _end(self, hook: Any, why: str) -> None:
        log.warning("hook ended", hook=hook.id, why=why)
        await self._app.dispatcher.run(
            lambda conn, now: hooks.end(conn, Scope(None), hook.id, now, why)
        )

    async def _fail(self, hook: Any, answer: Answer) -> None:
        why = answer.why or f"answered {answer.status}"
        if answer.status == GONE:
            await self._end(hook, "answered 410: gone for good")
            return
        log.info("hook refused", hook=hook.id, status=answer.status)
        ended = await self._app.dispatcher.run(
            lambda conn, now: hooks.failed(conn, hook.id, why, answer.wait, now)
        )
        if ended:
            log.warning("hook ended after too many failures", hook=hook.id)

    # --- what is sent --------------------------------------------------------------------

    async def _push(self, hook: Any, page: Page, until: float) -> int:
        """Push a page, or as much of it as there is time for; the fact up to which it went."""
        if not page.told:
            return page.cursor
        try:
            secret = self._app.vault.open(hook.secret)
        except Sealed:
            why = Answer(0, "its secret cannot be read: KAONA_SECRET_KEY is another now")
            raise Refused(0, why) from None
        if hook.kind == "webhook":
            return await self._tell(hook.url, secret, page, until)
        made = [self._statement(one) for one in page.told]
        answer = await self._post_statements(hook.url, secret, made)
        if answer.accepted:
            return page.cursor
        if answer.status == CONFLICT and len(made) > 1:
            return await self._one_by_one(hook.url, secret, page, until)
        if answer.status == CONFLICT:
            return page.cursor
        raise Refused(0, answer)

    async def _one_by_one(self, url: str, secret: str, page: Page, until: float) -> int:
        """A store that has one of them already (an answer of its was lost) may refuse all of them
        with 409. By itself, 409 says that the statement is there."""
        far = 0
        for one in page.told:
            answer = await self._post_statements(url, secret, [self._statement(one)])
            if not answer.accepted and answer.status != CONFLICT:
                raise Refused(far, answer)
            far = one.fact.id
            if time.monotonic() > until:
                return far
        return page.cursor

    def _statement(self, told: Told) -> xapi.Statement:
        app = self._app
        made = records.statement(told, self._keys["xapi"], app.settings.public_url, app.content)
        assert made is not None  # only kinds that have a statement were asked for
        return made

    async def _post_statements(
        self, url: str, secret: str, made: Sequence[xapi.Statement]
    ) -> Answer:
        headers = basic(secret) | {"X-Experience-API-Version": VERSION}
        return await self._outside.post(url, encode(made), headers)

    async def _tell(self, url: str, secret: str, page: Page, until: float) -> int:
        """One request for each event; the next only when this one was accepted."""
        far = 0
        for one in filter(records.is_told, page.told):
            body = encode(records.event(one, self._keys["webhook"]))
            at = int(self._app.clock().timestamp())
            headers = signed(secret, records.event_id(one), at, body)
            answer = await self._outside.post(url, body, headers)
            if not answer.accepted:
                raise Refused(far, answer)
            far = one.fact.id
            if time.monotonic() > until:
                return far
        return page.cursor

    async def test(self, hook: Any) -> Answer:
        """Something harmless, at once: does it arrive?"""
        secret = self._app.vault.open(hook.secret)
        if hook.kind == "xapi":
            return await self._post_statements(hook.url, secret, [])
        now = self._app.clock()
        event = {"id": f"test-{int(now.timestamp())}", "type": "test", "at": now.isoformat()}
        body = json.dumps(event | {"learner": "", "data": {}}).encode()
        headers = signed(secret, event["id"], int(now.timestamp()), body)
        return await self._outside.post(hook.url, body, headers)


def signed(secret: str, id: str, at: int, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks: an id for this event, the time, and a signature over both
    and the body. `secret` is `whsec_` and the key in base64."""
    key = base64.b64decode(secret.removeprefix(WHSEC))
    said = hmac.digest(key, f"{id}.{at}.".encode() + body, sha256)
    return {
        "webhook-id": id,
        "webhook-timestamp": str(at),
        "webhook-signature": "v1," + base64.b64encode(said).decode(),
    }
