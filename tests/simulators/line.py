"""LINE's Messaging API: reply tokens, retry keys, blocks, quotas; and webhooks signed like LINE's.

By hand: `python -m tests.simulators.line --port 4010 --history line.jsonl`
"""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from tests.simulators.server import Json, Simulator, answer, options, read_json, run

TOKEN_LIFE = 60.0
KEY_LIFE = 24 * 3600.0
BOT = "U" + "b" * 32
MONTHLY = "You have reached your monthly limit."
RATE = "The API rate limit has been exceeded. Try again later."


class Line(Simulator):
    """A LINE Official Account and everybody who talks to it."""

    def __init__(
        self,
        *,
        token: str = "token",
        secret: bytes = b"secret",
        history: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(history=history, clock=clock)
        self.token, self.secret = token, secret
        self.delivered: defaultdict[str, list[Json]] = defaultdict(list)
        self.blocked: set[str] = set()
        self.unknown: set[str] = set()
        self.tokens: dict[str, tuple[str, float]] = {}
        self.keys: dict[str, tuple[float, str, list[Json]]] = {}
        self.quota: int | None = None
        self.used = 0
        self.rate: int | None = None
        """Requests a second that an endpoint takes; None: any number."""
        self.contents: dict[str, bytes] = {}
        self.menus: dict[str, Json] = {}
        self.images: dict[str, bytes] = {}
        self.default_menu = ""
        self.loading: list[str] = []
        self._windows: dict[str, tuple[int, int]] = {}
        self._serial = 0

    # --- what users do -----------------------------------------------------------------

    def webhook(self, *events: Json) -> tuple[bytes, dict[str, str]]:
        """A body with these events, and its headers, signed as LINE signs."""
        return self.signed({"destination": BOT, "events": events})

    def redelivered(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        """The same again, as LINE sends it when it got no 2xx: ids and times are unchanged."""
        value = json.loads(body)
        for event in value["events"]:
            event["deliveryContext"]["isRedelivery"] = True
        return self.signed(value)

    def signed(self, value: Json) -> tuple[bytes, dict[str, str]]:
        """Any body with a signature that holds: hostile ones too."""
        body = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
        signature = base64.b64encode(hmac.digest(self.secret, body, hashlib.sha256)).decode()
        return body, {"x-line-signature": signature, "content-type": "application/json"}

    def event(self, kind: str, user: str, *, replyable: bool = True, **more: object) -> Json:
        """An event of `user`'s; a fresh reply token comes with it."""
        made: Json = {
            "type": kind,
            "mode": "active",
            "timestamp": int(self.clock() * 1000),
            "source": {"type": "user", "userId": user},
            "webhookEventId": self._id("01KEVENT"),
            "deliveryContext": {"isRedelivery": False},
            **more,
        }
        if replyable:
            made["replyToken"] = token = self._id("reply")
            self.tokens[token] = (user, self.clock())
        return made

    def says(self, user: str, text: str) -> Json:
        message = {"type": "text", "id": self._id("5"), "text": text, "quoteToken": "q"}
        return self.event("message", user, message=message)

    def sends(self, user: str, kind: str, content: bytes = b"") -> Json:
        number = self._id("6")
        self.contents[number] = content
        provider = {"contentProvider": {"type": "line"}, "quoteToken": "q"}
        return self.event("message", user, message={"type": kind, "id": number, **provider})

    def presses(self, user: str, data: str) -> Json:
        return self.event("postback", user, postback={"data": data})

    def follows(self, user: str) -> Json:
        self.blocked.discard(user)
        return self.event("follow", user, follow={"isUnblocked": False})

    def unfollows(self, user: str) -> Json:
        self.blocked.add(user)
        return self.event("unfollow", user, replyable=False)

    def _id(self, prefix: str) -> str:
        self._serial += 1
        return f"{prefix}{self._serial:018d}"

    # --- what the bot asks -------------------------------------------------------------

    async def note(self, request: web.BaseRequest, record: Json) -> None:
        headers = request.headers
        record["method"], record["path"] = request.method.lower(), request.path
        key = headers.get("X-Line-Retry-Key")
        record["headers"] = {"X-Line-Retry-Key": key} if key else {}
        if headers.get("Content-Type", "").startswith("image/"):
            record["body"], record["bytes"] = None, await request.read()
        else:
            record["body"] = await read_json(request)

    def failure(self, status: int) -> web.Response:
        return answer({"message": RATE if status == 429 else "Something went wrong."}, status)

    async def answer(self, request: web.BaseRequest, record: Json) -> web.StreamResponse:
        await self.note(request, record)
        image = record.pop("bytes", None)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _refuse("Authentication failed. Confirm that the access token is valid.", 401)
        if self._too_fast(request.path):
            return _refuse(RATE, 429)
        send = _SENDS.get(request.path)
        if send is not None:
            return send(self, record["body"] or {}, record["headers"].get("X-Line-Retry-Key"))
        return self._other(record["method"], request.path, record["body"], image)

    def _too_fast(self, path: str) -> bool:
        if self.rate is None:
            return False
        second = int(self.clock())
        start, count = self._windows.get(path, (second, 0))
        count = count + 1 if start == second else 1
        self._windows[path] = (second, count)
        return count > self.rate

    def _reply(self, body: Json, key: str | None) -> web.Response:
        if key is not None:
            return _refuse("The retry key is not supported by this endpoint.")
        user, minted = self.tokens.get(str(body.get("replyToken")), ("", 0.0))
        if not user or self.clock() - minted > TOKEN_LIFE:
            return _refuse("Invalid reply token")
        if problem := _problem(body):
            return _refuse(problem)
        del self.tokens[body["replyToken"]]
        return answer({"sentMessages": self._deliver(user, body["messages"])})

    def _push(self, body: Json, key: str | None) -> web.Response:
        if key is not None and (repeat := self._repeated(key)):
            return repeat
        if problem := _problem(body):
            return _refuse(problem)
        if body.get("to") in self.unknown:
            return _refuse("Failed to send messages")
        if self.quota is not None and self.used >= self.quota:
            return _refuse(MONTHLY, 429)
        self.used += body["to"] not in self.blocked
        sent = self._deliver(body["to"], body["messages"])
        if key is not None:
            self.keys[key] = (self.clock(), self._id("request"), sent)
        return answer({"sentMessages": sent})

    def _multicast(self, body: Json, key: str | None) -> web.Response:
        if key is not None and (repeat := self._repeated(key)):
            return repeat
        to = body.get("to") or []
        if problem := _problem(body) or ("too many recipients" if len(to) > 500 else ""):
            return _refuse(problem)
        if self.quota is not None and self.used + len(to) > self.quota:
            return _refuse(MONTHLY, 429)
        for user in to:
            self.used += user not in self.blocked
            self._deliver(user, body["messages"])
        if key is not None:
            self.keys[key] = (self.clock(), self._id("request"), [])
        return answer({})

    def _repeated(self, key: str) -> web.Response | None:
        try:
            uuid.UUID(key)
        except ValueError:
            return _refuse("The retry key is invalid.")
        taken = self.keys.get(key)
        if taken is None or self.clock() - taken[0] > KEY_LIFE:
            return None
        body = {"message": "The retry key is already accepted", "sentMessages": taken[2]}
        return answer(body, 409, {"x-line-accepted-request-id": taken[1]})

    def _deliver(self, user: str, messages: list[Json]) -> list[Json]:
        """Somebody who blocked us gets nothing, and we are not told."""
        if user not in self.blocked and user not in self.unknown:
            self.delivered[user].extend(messages)
        return [{"id": self._id("4"), "quoteToken": "q"} for _ in messages]

    def _loading(self, body: Json, key: str | None) -> web.Response:
        self.loading.append(body.get("chatId", ""))
        return answer({}, 202)

    def _other(
        self, method: str, path: str, body: Json | None, image: bytes | None
    ) -> web.Response:
        if path == "/v2/bot/info":
            return answer(_INFO)
        if path == "/v2/bot/message/quota":
            return answer(
                {"type": "none"} if self.quota is None else {"type": "limited", "value": self.quota}
            )
        if path == "/v2/bot/message/quota/consumption":
            return answer({"totalUsage": self.used})
        if path.startswith("/v2/bot/message/") and path.endswith("/content"):
            content = self.contents.get(path.split("/")[4])
            return web.Response(body=content) if content else _refuse("Not found", 404)
        return self._menu(method, path, body, image)

    def _menu(self, method: str, path: str, body: Json | None, image: bytes | None) -> web.Response:
        name = path.removesuffix("/content").rsplit("/", 1)[1]
        match method, path:
            case "post", "/v2/bot/richmenu":
                menu = self._id("richmenu-")
                self.menus[menu] = body or {}
                return answer({"richMenuId": menu})
            case "get", "/v2/bot/richmenu/list":
                menus = [{"richMenuId": k, **menu} for k, menu in self.menus.items()]
                return answer({"richmenus": menus})
            case _ if name not in self.menus:
                return _refuse("Not found", 404)
            case "post", _ if path.endswith("/content"):
                self.images[name] = image or b""
            case "post", _ if "/user/all/" in path:
                self.default_menu = name
            case "delete", _:
                del self.menus[name]
            case _:
                return _refuse("Not found", 404)
        return answer({})


_SENDS = {
    "/v2/bot/message/reply": Line._reply,
    "/v2/bot/message/push": Line._push,
    "/v2/bot/message/multicast": Line._multicast,
    "/v2/bot/chat/loading/start": Line._loading,
}
_INFO = {
    "userId": BOT,
    "basicId": "@kaona",
    "displayName": "Kaona",
    "chatMode": "bot",
    "markAsReadMode": "auto",
}


def _problem(body: Json) -> str:
    messages = body.get("messages")
    if not isinstance(messages, list) or not 1 <= len(messages) <= 5:
        return "The request body has 1 error(s): messages must be 1 to 5"
    return ""


def _refuse(message: str, status: int = 400) -> web.Response:
    return answer({"message": message}, status)


if __name__ == "__main__":
    given = options(__doc__ or "", 4010)
    run(Line(token=given.token, history=given.history), given.port)
