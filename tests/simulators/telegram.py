"""Telegram's Bot API: updates, flood limits, blocks, files; webhooks as the official server sends.

By hand: `python -m tests.simulators.telegram --port 4011 --history telegram.jsonl`
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.simulators.server import Json, Simulator, answer, options, run

BOT = 4242
TEXT = 4096
CAPTION = 1024
BURST = 3
"""Messages a chat may get at once before it is held to one a second."""


class Telegram(Simulator):
    """A bot's account and everybody who talks to it."""

    def __init__(
        self,
        *,
        token: str = f"{BOT}:token",
        history: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(history=history, clock=clock)
        self.token = token
        self.delivered: defaultdict[str, list[Json]] = defaultdict(list)
        self.blocked: set[str] = set()
        self.unknown: set[str] = set()
        self.flood = False
        """Whether chats that get more than one message a second are throttled."""
        self.frozen_until = 0.0
        """Until then the whole bot is told to wait."""
        self.retry_after = 5
        self.updates: list[Json] = []
        self.webhook: Json | None = None
        self.files: dict[str, bytes] = {}
        self.answered: list[str] = []
        self.left: list[str] = []
        self.commands: dict[str, list[Json]] = {}
        self._recent: defaultdict[str, list[float]] = defaultdict(list)
        self._serial = 0
        self._news: asyncio.Event | None = None

    # --- what users do -----------------------------------------------------------------

    def update(self, kind: str, **content: object) -> Json:
        """A new update; it waits for `getUpdates` until it is fetched."""
        made: Json = {"update_id": 1000 + self._next(), kind: content}
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

    def _next(self) -> int:
        self._serial += 1
        return self._serial

    # --- what the bot asks -------------------------------------------------------------

    async def note(self, request: web.BaseRequest, record: Json) -> None:
        record["method"] = request.path.rsplit("/", 1)[1]
        record["params"], record["files"] = await _params(request)

    def failure(self, status: int) -> web.Response:
        if status == 429:
            return self._wait()
        return _refuse("Internal Server Error" if status >= 500 else "Bad Request", status)

    def _wait(self, seconds: int | None = None) -> web.Response:
        seconds = seconds or self.retry_after
        return _refuse(f"Too Many Requests: retry after {seconds}", 429, retry_after=seconds)

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
        now = self.clock()
        if now < self.frozen_until:
            return self._wait(max(1, int(self.frozen_until - now + 0.999)))
        if self.flood and self._too_fast(chat, now):
            return self._wait()
        self.delivered[chat].append(params)
        message = {
            "message_id": self._next(),
            "date": int(now),
            "chat": _chat(int(chat)),
            "from": {"id": BOT, "is_bot": True, "first_name": "Kaona"},
            "text": params.get("text", ""),
        }
        return _ok(message)

    def _too_fast(self, chat: str, now: float) -> bool:
        recent = [at for at in self._recent[chat] if now - at < BURST]
        self._recent[chat] = [*recent, now]
        return len(recent) >= BURST

    def _answercallbackquery(self, params: Json, files: list[str]) -> web.Response:
        self.answered.append(str(params.get("callback_query_id")))
        return _ok(True)

    def _leavechat(self, params: Json, files: list[str]) -> web.Response:
        self.left.append(str(params.get("chat_id")))
        return _ok(True)

    def _setmycommands(self, params: Json, files: list[str]) -> web.Response:
        self.commands[params.get("language_code", "")] = _json(params.get("commands"))
        return _ok(True)

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
                "pending_update_count": len(self.updates),
            }
        )

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


if __name__ == "__main__":
    given = options(__doc__ or "", 4011)
    run(Telegram(token=given.token, history=given.history), given.port)
