"""The Bot API: updates, flood limits, blocks, files; webhooks as the official server sends.

By hand: `python -m tests.simulators.telegram --webhook URL`, then
`curl -d '{"user": 1001, "text": "hello"}' http://127.0.0.1:4011/simulator/say` (or press, block,
unblock, delivered). Without `--webhook` updates wait to be polled.
"""

import asyncio
import json
import math
import random
import time
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from tests.simulators.server import Bucket, Json, Simulator, Temper, answer, parser, run, temper

BOT = 4242
TEXT = 4096
CAPTION = 1024
BURST = 3
"""Messages a chat may get at once before it is held to one a second."""
LIFE = 24 * 3600.0
PRESS_LIFE = 150.0
"""Seconds that an update, and a pressed button, are worth delivering."""
PRESSES = 3 * 2**33
"""Added to a user's number: the queue of their pressed buttons, apart from that of their chat."""
GONE_FOR = 23 * 3600.0
"""Seconds of nothing but 410 after which the webhook is closed."""
MOST_WAIT = 3600.0
"""Seconds of `Retry-After` that are heeded."""
CONNECTIONS = 40
GRACE = 0.25
"""Seconds after which a bot must know that it was told to wait."""


class Telegram(Simulator):
    """A bot's account and everybody who talks to it."""

    def __init__(
        self,
        *,
        token: str = f"{BOT}:token",
        history: Path | None = None,
        clock: Callable[[], float] = time.time,
        temper: Temper | None = None,
        rate: float | None = None,
        flood: bool = False,
        retry_after: int = 5,
    ) -> None:
        """`rate`: messages a second for the whole bot. With it, whoever is told to wait must:
        until then every message is refused, and the history says so."""
        super().__init__(history=history, clock=clock, temper=temper)
        self.token = token
        self.delivered: defaultdict[str, list[Json]] = defaultdict(list)
        self.blocked: set[str] = set()
        self.unknown: set[str] = set()
        self.flood = flood
        """Whether chats that get more than one message a second are throttled."""
        self.frozen_until = 0.0
        """Until then the whole bot is told to wait."""
        self.retry_after = retry_after
        self._limit(rate)
        self.queues: Queues | None = None
        self.hook = ("", "")
        """A webhook to deliver to and its secret, whatever the bot has asked for."""
        self.updates: list[Json] = []
        self.webhook: Json | None = None
        self.files: dict[str, bytes] = {}
        self.answered: list[str] = []
        self.left: list[str] = []
        self.commands: dict[str, list[Json]] = {}
        self._recent: defaultdict[str, list[float]] = defaultdict(list)
        self._asked: Json = {}
        """The record of the request that is being carried out."""
        self._serial = 0
        self._news: asyncio.Event | None = None

    def _limit(self, rate: float | None) -> None:
        self.strict = rate is not None
        self._bucket = Bucket(rate, rate) if rate is not None else None
        self._windows: dict[str, tuple[float, float]] = {}
        """By chat, "" for the whole bot: when it was told to wait, and until when."""
        self._closed = 0.0
        """Seconds for which the whole bot was told to wait."""

    # --- what users do -----------------------------------------------------------------

    def update(self, kind: str, **content: object) -> Json:
        """A new update; it waits for `getUpdates` until it is fetched."""
        made: Json = {"update_id": 1000 + self._next(), kind: content}
        if self.queues is not None:
            self.queues.put(made)
            return made
        self.updates.append(made)
        if self._news is not None:
            self._news.set()
        return made

    def says(self, user: int, text: str) -> Json:
        return self.update("message", **self._from(user), text=text)

    def sends(self, user: int, kind: str, content: bytes = b"") -> Json:
        file_id = f"file{self._next()}"
        self.files[file_id] = content
        sizes = [
            {"file_id": f"{file_id}s", "file_unique_id": "s", "width": 90, "height": 90},
            {"file_id": file_id, "file_unique_id": "l", "width": 900, "height": 900},
        ]
        found: object = sizes if kind == "photo" else sizes[1]
        return self.update("message", **self._from(user), **{kind: found})

    def presses(self, user: int, data: str) -> Json:
        message = {"message_id": self._next(), "date": 1, "chat": _chat(user)}
        return self.update(
            "callback_query",
            id=f"callback{self._next()}",
            message=message,
            chat_instance="1",
            data=data,
            **{"from": _user(user)},
        )

    def blocks(self, user: int) -> Json:
        self.blocked.add(str(user))
        return self._member(user, "member", "kicked")

    def unblocks(self, user: int) -> Json:
        self.blocked.discard(str(user))
        return self._member(user, "kicked", "member")

    def _member(self, user: int, before: str, after: str) -> Json:
        bot = {"id": BOT, "is_bot": True, "first_name": "Kaona"}
        old, new = ({"status": s, "user": bot, "until_date": 0} for s in (before, after))
        for member in (old, new):
            if member["status"] == "member":
                del member["until_date"]
        return self.update(
            "my_chat_member",
            chat=_chat(user),
            date=int(self.clock()),
            old_chat_member=old,
            new_chat_member=new,
            **{"from": _user(user)},
        )

    def _from(self, user: int) -> Json:
        return {
            "message_id": self._next(),
            "date": int(self.clock()),
            "chat": _chat(user),
            "from": _user(user),
        }

    async def by_hand(self, what: str, given: Json) -> object:
        user = int(given.get("user", 1001))
        if what == "delivered":
            return self.delivered[str(user)]
        if what == "counts":
            return self.counts()
        if self.hook[0] and self.queues is None:
            self.queues = Queues(self, *self.hook)
        return {
            "say": lambda: self.says(user, given.get("text", "")),
            "press": lambda: self.presses(user, given.get("data", "")),
            "block": lambda: self.blocks(user),
            "unblock": lambda: self.unblocks(user),
        }[what]()

    def counts(self) -> Json:
        sent = [record for record in self.history if record.get("delivered")]
        return {
            "requests": len(self.history),
            "delivered": len(sent),
            "first": min((record["wall"] for record in sent), default=0.0),
            "last": max((record["wall"] for record in sent), default=0.0),
            "throttled": sum(record["status"] == 429 for record in self.history),
            "closed": self._closed,
            "inside": sum(record.get("window", 0.0) > GRACE for record in self.history),
        }

    def _next(self) -> int:
        self._serial += 1
        return self._serial

    # --- what the bot asks -------------------------------------------------------------

    async def note(self, request: web.BaseRequest, record: Json) -> None:
        record["method"] = request.path.rsplit("/", 1)[1]
        record["params"], record["files"] = await _params(request)

    def failure(self, status: int, record: Json) -> web.Response:
        if status == 429:
            return self._throttle(record, "")
        return _refuse("Internal Server Error" if status >= 500 else "Bad Request", status)

    def _throttle(self, record: Json, chat: str) -> web.Response:
        """Tell the bot to wait with this chat, or with all of them."""
        if self.strict:
            now = self.clock()
            _, until = self._windows.get(chat, (now, now))
            self._windows[chat] = (now, now + self.retry_after)
            self._closed += 0.0 if chat else now + self.retry_after - max(until, now)
        return self._wait(record)

    def _wait(self, record: Json, seconds: int | None = None) -> web.Response:
        seconds = seconds or self.retry_after
        record["retry_after"] = seconds
        return _refuse(f"Too Many Requests: retry after {seconds}", 429, retry_after=seconds)

    def _told_to_wait(self, record: Json, chat: str, now: float) -> web.Response | None:
        """A message inside a window is refused; how long ago the window was opened is written
        down, for what was under way at that moment is nobody's fault."""
        for key in ("", chat):
            since, until = self._windows.get(key, (0.0, 0.0))
            if now < until:
                record["window"] = now - since
                record["scope"] = "chat" if key else "bot"
                return self._wait(record, max(1, math.ceil(until - now)))
        if now < self.frozen_until:
            return self._wait(record, max(1, math.ceil(self.frozen_until - now)))
        return None

    async def answer(self, request: web.BaseRequest, record: Json) -> web.StreamResponse:
        if request.path.startswith(f"/file/bot{self.token}/"):
            content = self.files.get(request.path.rsplit("/", 1)[1])
            record["method"], record["params"], record["files"] = "file", {}, []
            return web.Response(body=content) if content else _refuse("Not Found", 404)
        await self.note(request, record)
        if not request.path.startswith(f"/bot{self.token}/"):
            return _refuse("Unauthorized", 401)
        method = getattr(self, "_" + record["method"].lower(), None)
        if method is None:
            return _refuse("Not Found", 404)
        self._asked = record
        result: Any = method(record["params"], record["files"])
        response: web.Response = await result if asyncio.iscoroutine(result) else result
        return response

    def _getme(self, params: Json, files: list[str]) -> web.Response:
        me = {"id": BOT, "is_bot": True, "first_name": "Kaona", "username": "kaona_bot"}
        return _ok(me)

    def _sendmessage(self, params: Json, files: list[str]) -> web.Response:
        text = params.get("text") or ""
        if not text.strip():
            return _refuse("Bad Request: message text is empty")
        if _units(text) > TEXT:
            return _refuse("Bad Request: message is too long")
        return self._send(params)

    def _sendphoto(self, params: Json, files: list[str]) -> web.Response:
        if "photo" not in files and "photo" not in params:
            return _refuse("Bad Request: there is no photo in the request")
        if _units(params.get("caption") or "") > CAPTION:
            return _refuse("Bad Request: message caption is too long")
        return self._send(params)

    def _send(self, params: Json) -> web.Response:
        chat = str(params.get("chat_id"))
        if chat in self.blocked:
            return _refuse("Forbidden: bot was blocked by the user", 403)
        if chat in self.unknown:
            return _refuse("Bad Request: chat not found")
        now, record = self.clock(), self._asked
        if refused := self._told_to_wait(record, chat, now):
            return refused
        if self.flood and self._too_fast(chat, now):
            return self._throttle(record, chat)
        if self._bucket is not None and not self._bucket.take(now):
            return self._throttle(record, "")
        self.delivered[chat].append(params)
        record["delivered"], record["message_id"] = 1, self._next()
        message = {
            "message_id": record["message_id"],
            "date": int(now),
            "chat": _chat(int(chat)),
            "from": {"id": BOT, "is_bot": True, "first_name": "Kaona"},
            "text": params.get("text", ""),
        }
        return _ok(message)

    def _too_fast(self, chat: str, now: float) -> bool:
        recent = [at for at in self._recent[chat] if now - at < BURST]
        fast = len(recent) >= BURST
        self._recent[chat] = recent if fast and self.strict else [*recent, now]
        return fast

    def _answercallbackquery(self, params: Json, files: list[str]) -> web.Response:
        self.answered.append(str(params.get("callback_query_id")))
        return _ok(True)

    def _leavechat(self, params: Json, files: list[str]) -> web.Response:
        self.left.append(str(params.get("chat_id")))
        return _ok(True)

    def _setmycommands(self, params: Json, files: list[str]) -> web.Response:
        self.commands[params.get("language_code", "")] = _json(params.get("commands"))
        return _ok(True)

    def _getmycommands(self, params: Json, files: list[str]) -> web.Response:
        return _ok(self.commands.get(params.get("language_code", ""), []))

    def _setwebhook(self, params: Json, files: list[str]) -> web.Response:
        self.webhook = params if params.get("url") else None
        return _ok(True)

    def _deletewebhook(self, params: Json, files: list[str]) -> web.Response:
        self.webhook = None
        return _ok(True)

    def _getwebhookinfo(self, params: Json, files: list[str]) -> web.Response:
        url = (self.webhook or {}).get("url", "")
        return _ok(
            {
                "url": url,
                "has_custom_certificate": False,
                "pending_update_count": len(self.updates)
                + (self.queues.pending if self.queues else 0),
                **(self.queues.last_error if self.queues else {}),
            }
        )

    def performed(self, asked: Json) -> None:
        """A method in the answer to a webhook is carried out, and nobody hears how it went."""
        method = getattr(self, "_" + str(asked.pop("method", "")).lower(), None)
        if method is not None:
            self._asked = {"mono": time.monotonic(), "wall": time.time(), "params": asked}
            self._asked |= {"method": "answer", "files": [], "status": 200}
            method(asked, [])
            self.history.append(self._asked)
            self.write(self._asked)

    async def _getupdates(self, params: Json, files: list[str]) -> web.Response:
        if self.webhook is not None:
            return _refuse("Conflict: can't use getUpdates method while webhook is active", 409)
        offset, timeout = int(params.get("offset") or 0), float(params.get("timeout") or 0)
        self.updates = [update for update in self.updates if update["update_id"] >= offset]
        if self._news is not None:
            return _refuse("Conflict: terminated by other getUpdates request", 409)
        if not self.updates and timeout:
            self._news = asyncio.Event()
            try:
                await asyncio.wait_for(self._news.wait(), timeout)
            except TimeoutError:
                return _ok([])
            finally:
                self._news = None
        return _ok(self.updates[: int(params.get("limit") or 100)])

    def _getfile(self, params: Json, files: list[str]) -> web.Response:
        file_id = str(params.get("file_id"))
        if file_id not in self.files:
            return _refuse("Bad Request: wrong file_id or the file is temporarily unavailable")
        found = {"file_id": file_id, "file_unique_id": "u", "file_path": f"photos/{file_id}"}
        return _ok({**found, "file_size": len(self.files[file_id])})


class Queues:
    """Webhooks in the official server's order: a queue for each chat and one for each user's
    pressed buttons, the front of each delivered again until it is taken or too old."""

    def __init__(
        self, telegram: Telegram, url: str, secret: str, *, pace: float = 1.0, seed: int = 0
    ) -> None:
        """`pace`: what a second of waiting takes."""
        self._telegram, self._url = telegram, url
        self._headers = {"X-Telegram-Bot-Api-Secret-Token": secret}
        self._pace, self._dice = pace, random.Random(seed)
        self._queues: defaultdict[int, deque[tuple[Json, float]]] = defaultdict(deque)
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._session: ClientSession | None = None
        self._gone_since: float | None = None
        self.closed = False
        self.last_error: Json = {}

    @property
    def pending(self) -> int:
        return sum(map(len, self._queues.values()))

    def put(self, update: Json) -> None:
        """In the event loop that delivers."""
        number = _queue(update)
        self._queues[number].append((update, self._telegram.clock()))
        if len(self._queues[number]) == 1 and not self.closed:
            self._telegram.later(self._drain(number))

    async def close(self) -> None:
        self.closed = True
        if self._session is not None:
            await self._session.close()

    async def _drain(self, number: int) -> None:
        queue, fails = self._queues[number], 0
        while queue and not self.closed:
            update, born = queue[0]
            life = PRESS_LIFE if "callback_query" in update else LIFE
            if self._telegram.clock() - born > life:
                self._note(update, 0, "expired", fails)
                queue.popleft()
                continue
            async with self._room:
                status, retry_after, body = await self._post(update)
            self._note(update, status, "", fails)
            if 200 <= status < 300:
                queue.popleft()
                fails, self._gone_since = 0, None
                if isinstance(body, dict) and "method" in body:
                    self._telegram.performed(body)
                continue
            self._doubt(status)
            await asyncio.sleep(self._pause(fails, retry_after) * self._pace)
            fails += 1

    def _pause(self, fails: int, retry_after: float) -> float:
        """At once the first time, then 2, 4, 8 … up to a minute or two."""
        pause = min(2.0**fails, self._dice.uniform(60, 120)) if fails else 0.0
        return min(retry_after, MOST_WAIT) or pause

    def _doubt(self, status: int) -> None:
        """A webhook that is gone for a day is closed."""
        now = self._telegram.clock()
        self.last_error = {
            "last_error_date": int(now),
            "last_error_message": f"Wrong response from the webhook: {status}",
        }
        if status != 410:
            self._gone_since = None
        elif self._gone_since is None:
            self._gone_since = now
        elif now - self._gone_since > GONE_FOR:
            self.closed, self._telegram.webhook = True, None

    async def _post(self, update: Json) -> tuple[int, float, Any]:
        if self._session is None:
            self._session = ClientSession(timeout=ClientTimeout(total=60))
        try:
            async with self._session.post(self._url, json=update, headers=self._headers) as got:
                text = await got.text()
                return got.status, float(got.headers.get("Retry-After") or 0), _json(text)
        except (ClientError, OSError, TimeoutError):
            return 0, 0.0, None

    def _note(self, update: Json, status: int, why: str, fails: int) -> None:
        at = {"mono": time.monotonic(), "wall": time.time(), "queue": _queue(update)}
        said = {"update_id": update["update_id"], "status": status, "why": why, "tries": fails + 1}
        self._telegram.hooked(at | said)


def _queue(update: Json) -> int:
    if "callback_query" in update:
        return int(update["callback_query"]["from"]["id"]) + PRESSES
    inner = next(value for key, value in update.items() if key != "update_id")
    return int(inner["chat"]["id"])


async def _params(request: web.BaseRequest) -> tuple[Json, list[str]]:
    """The parameters, and the names of the files that came with them."""
    kind = request.content_type
    if kind == "application/json":
        found = _json(await request.read())
        return (found if isinstance(found, dict) else {}), []
    form = await request.post()
    files = [name for name, value in form.items() if isinstance(value, web.FileField)]
    return {name: str(v) for name, v in form.items() if name not in files}, files


def _json(value: Any) -> Any:
    """Values of a form are JSON in a string."""
    try:
        return json.loads(value) if isinstance(value, str | bytes) else value
    except ValueError:
        return value


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _user(user: int) -> Json:
    return {"id": user, "is_bot": False, "first_name": "U", "language_code": "th"}


def _chat(user: int) -> Json:
    return {"id": user, "type": "private"}


def _ok(result: object) -> web.Response:
    return answer({"ok": True, "result": result})


def _refuse(description: str, status: int = 400, **parameters: int) -> web.Response:
    value = {"ok": False, "error_code": status, "description": description}
    return answer({**value, "parameters": parameters} if parameters else value, status)


def _main() -> None:
    options = parser(__doc__ or "", 4011)
    options.set_defaults(token=f"{BOT}:token")
    options.add_argument("--rate", type=float, default=30.0, help="messages a second, all chats")
    options.add_argument("--retry-after", type=int, default=5, help="seconds to wait after a 429")
    given = options.parse_args()
    telegram = Telegram(
        token=given.token,
        history=given.history,
        temper=temper(given),
        rate=given.rate,
        flood=True,
        retry_after=given.retry_after,
    )
    telegram.hook = (given.webhook, given.secret)
    run(telegram, given.port)


if __name__ == "__main__":
    _main()
