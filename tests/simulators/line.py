"""LINE's Messaging API: reply tokens, retry keys, blocks, quotas, rates; and webhooks signed and
delivered again like LINE's.

By hand: `python -m tests.simulators.line --webhook http://127.0.0.1:8000/webhook/line`, then
`curl -d '{"user": "U1", "text": "hello"}' http://127.0.0.1:4010/simulator/say` (or press, follow,
unfollow, delivered).
"""

import asyncio
import base64
import hashlib
import hmac
import json
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from tests.simulators.server import (
    Json,
    Simulator,
    Temper,
    answer,
    parser,
    read_json,
    run,
    temper,
)

TOKEN_LIFE = 60.0
TOKEN_END = 20 * 60.0
"""A redelivered event that is older brings no fresh life to its token."""
KEY_LIFE = 24 * 3600.0
HOOK_PATIENCE = 2.0
REDELIVERIES = (60.0, 300.0, 1800.0, 7200.0)
"""Seconds between deliveries. LINE does not say how often it delivers again, or when."""
RATES = {
    "/v2/bot/message/reply": 2000,
    "/v2/bot/message/push": 2000,
    "/v2/bot/message/multicast": 200,
}
"""Requests a second, by endpoint."""
BOT = "U" + "b" * 32
MONTHLY = "You have reached your monthly limit."
RATE = "The API rate limit has been exceeded. Try again later."
CROWDED = "Too many messages to the same user."
"""LINE does not publish its words for this one."""


class Line(Simulator):
    """A LINE Official Account and everybody who talks to it."""

    def __init__(
        self,
        *,
        token: str = "token",
        secret: bytes = b"secret",
        history: Path | None = None,
        clock: Callable[[], float] = time.time,
        temper: Temper | None = None,
        quota: int | None = None,
        rates: dict[str, int] | None = None,
        per_user: int | None = None,
    ) -> None:
        super().__init__(history=history, clock=clock, temper=temper)
        self.token, self.secret = token, secret
        self.delivered: defaultdict[str, list[Json]] = defaultdict(list)
        self.blocked: set[str] = set()
        self.unknown: set[str] = set()
        self.tokens: dict[str, tuple[str, float]] = {}
        self.keys: dict[str, tuple[float, str, list[Json]]] = {}
        self.quota = quota
        self.used = 0
        self.rate: int | None = None
        """Requests a second that any endpoint takes; None: as `rates` says."""
        self.rates = rates or {}
        self.per_user = per_user
        """Pushes a second that one user may get; None: any number."""
        self.endpoint = ""
        self.uses_webhook = True
        self.chats = False
        """Two more switches in LINE's console: whether webhooks are sent, and whether people of the
        agency answer in chats."""
        self.redelivers = True
        """A switch in LINE's console."""
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
        value, now = json.loads(body), self.clock()
        for event in value["events"]:
            event["deliveryContext"]["isRedelivery"] = True
            token = event.get("replyToken")
            if token in self.tokens and now - event["timestamp"] / 1000 <= TOKEN_END:
                self.tokens[token] = (self.tokens[token][0], now)
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

    async def by_hand(self, what: str, given: Json) -> object:
        user = str(given.get("user", "U" + "1" * 32))
        if what == "delivered":
            return self.delivered[user]
        if what == "counts":
            return self.counts()
        made = {
            "say": lambda: self.says(user, given.get("text", "")),
            "press": lambda: self.presses(user, given.get("data", "")),
            "follow": lambda: self.follows(user),
            "unfollow": lambda: self.unfollows(user),
        }[what]()
        if self.endpoint:
            self.later(self._pumped(made))
        return made

    async def _pumped(self, event: Json) -> None:
        async with Pump(self, self.endpoint, redelivers=self.redelivers) as pump:
            await pump.send(event)

    def counts(self) -> Json:
        sends = [r for r in self.history if r["path"] in _SENDS and "delivered" in r]
        return {
            "requests": len(self.history),
            "delivered": sum(r["delivered"] for r in sends),
            "billed": self.used,
            "last": max((r["wall"] for r in sends), default=0.0),
        }

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

    def failure(self, status: int, record: Json) -> web.Response:
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
            return send(self, record, record["headers"].get("X-Line-Retry-Key"))
        return await self._other(record["method"], request.path, record["body"], image)

    def _too_fast(self, path: str) -> bool:
        most = self.rates.get(path) if self.rate is None else self.rate
        return most is not None and self._counted(path) > most

    def _counted(self, what: str) -> int:
        """How many there have been of it in this second."""
        second = int(self.clock())
        start, count = self._windows.get(what, (second, 0))
        count = count + 1 if start == second else 1
        self._windows[what] = (second, count)
        return count

    def _reply(self, record: Json, key: str | None) -> web.Response:
        body = record["body"] or {}
        if key is not None:
            return _refuse("The retry key is not supported by this endpoint.")
        user, minted = self.tokens.get(str(body.get("replyToken")), ("", 0.0))
        if not user or self.clock() - minted > TOKEN_LIFE:
            return _refuse("Invalid reply token")
        if problem := _problem(body):
            return _refuse(problem)
        del self.tokens[body["replyToken"]]
        record["user"] = user
        return answer({"sentMessages": self._deliver(record, [user], body["messages"])})

    def _push(self, record: Json, key: str | None) -> web.Response:
        body = record["body"] or {}
        if key is not None and (repeat := self._repeated(key)):
            return repeat
        if problem := _problem(body):
            return _refuse(problem)
        to = str(body.get("to"))
        if to in self.unknown:
            return _refuse("Failed to send messages")
        if self.per_user is not None and self._counted(to) > self.per_user:
            return _refuse(CROWDED, 429)
        if self.quota is not None and self.used >= self.quota:
            return _refuse(MONTHLY, 429)
        sent = self._deliver(record, [to], body["messages"], billed=True)
        if key is not None:
            self.keys[key] = (self.clock(), self._id("request"), sent)
        return answer({"sentMessages": sent})

    def _multicast(self, record: Json, key: str | None) -> web.Response:
        body = record["body"] or {}
        if key is not None and (repeat := self._repeated(key)):
            return repeat
        to = body.get("to") or []
        if problem := _problem(body) or ("" if 1 <= len(to) <= 500 else "to must be 1 to 500"):
            return _refuse(problem)
        if self.quota is not None and self.used + len(to) > self.quota:
            return _refuse(MONTHLY, 429)
        self._deliver(record, to, body["messages"], billed=True)
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

    def _deliver(
        self, record: Json, to: list[str], messages: list[Json], *, billed: bool = False
    ) -> list[Json]:
        """Somebody who blocked us gets nothing, and we are not told."""
        missed = [user for user in to if user in self.blocked or user in self.unknown]
        gone = set(missed)
        for user in to:
            if user not in gone:
                self.delivered[user].extend(messages)
        record["delivered"] = len(to) - len(missed)
        if missed:
            record["missed"] = missed
        if billed:
            record["billed"] = record["delivered"]
            self.used += record["delivered"]
        return [{"id": self._id("4"), "quoteToken": "q"} for _ in messages]

    def _loading(self, record: Json, key: str | None) -> web.Response:
        self.loading.append((record["body"] or {}).get("chatId", ""))
        return answer({}, 202)

    async def _other(
        self, method: str, path: str, body: Json | None, image: bytes | None
    ) -> web.Response:
        if path == "/v2/bot/info":
            return answer(_INFO | {"chatMode": "chat" if self.chats else "bot"})
        if path == "/v2/bot/message/quota":
            return answer(
                {"type": "none"} if self.quota is None else {"type": "limited", "value": self.quota}
            )
        if path == "/v2/bot/message/quota/consumption":
            return answer({"totalUsage": self.used})
        if path.startswith("/v2/bot/message/validate/"):
            problem = _problem(body or {})
            return _refuse(problem) if problem else answer({})
        if path.startswith("/v2/bot/channel/webhook/"):
            return await self._webhook(method, path, body or {})
        if path.startswith("/v2/bot/message/") and path.endswith("/content"):
            content = self.contents.get(path.split("/")[4])
            return web.Response(body=content) if content else _refuse("Not found", 404)
        return self._menu(method, path, body, image)

    async def _webhook(self, method: str, path: str, body: Json) -> web.Response:
        """Where webhooks go, and a test of it with no events in the body."""
        if path.endswith("/test"):
            async with Pump(self, body.get("endpoint") or self.endpoint) as pump:
                status, why = await pump.post(*self.webhook())
            good = 200 <= status < 300
            told = {"success": good, "statusCode": status, "reason": why or "OK", "detail": ""}
            return answer({**told, "timestamp": "2026-11-20T02:00:00Z"})
        if method == "put":
            self.endpoint = str(body.get("endpoint", ""))
            return answer({})
        if not self.endpoint:
            return _refuse("Not found", 404)
        return answer({"endpoint": self.endpoint, "active": self.uses_webhook})

    def _menu(self, method: str, path: str, body: Json | None, image: bytes | None) -> web.Response:
        name = path.removesuffix("/content").rsplit("/", 1)[1]
        match method, path:
            case "post", "/v2/bot/richmenu":
                menu = self._id("richmenu-")
                self.menus[menu] = body or {}
                return answer({"richMenuId": menu})
            case "get", "/v2/bot/user/all/richmenu" if self.default_menu in self.menus:
                return answer({"richMenuId": self.default_menu})
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


class Pump:
    """Delivers webhooks to a bot, several events in a body, and again where that failed."""

    def __init__(
        self,
        line: Line,
        url: str,
        *,
        redelivers: bool = True,
        waits: tuple[float, ...] = REDELIVERIES,
        pace: float = 1.0,
    ) -> None:
        """`pace`: what a second of waiting takes; a bot gets two real seconds to answer."""
        self._line, self._url = line, url
        self._waits = waits if redelivers else ()
        self._pace = pace
        self._session: ClientSession

    async def __aenter__(self) -> "Pump":
        self._session = ClientSession(timeout=ClientTimeout(total=HOOK_PATIENCE))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(self, *events: Json) -> list[int]:
        """Deliver one body until it is taken or LINE gives up; the statuses, 0 for none."""
        body, headers = self._line.webhook(*events)
        statuses: list[int] = []
        for wait in (*self._waits, None):
            began = time.monotonic()
            status, why = await self.post(body, headers)
            statuses.append(status)
            self._line.hooked(
                {
                    "mono": began,
                    "wall": time.time(),
                    "took": time.monotonic() - began,
                    "ids": [event["webhookEventId"] for event in events],
                    "redelivery": len(statuses) > 1,
                    "status": status,
                    "why": why,
                }
            )
            if 200 <= status < 300 or wait is None:
                break
            await asyncio.sleep(wait * self._pace)
            body, headers = self._line.redelivered(body)
        return statuses

    async def post(self, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        """Status, and LINE's name for what went wrong."""
        try:
            async with self._session.post(self._url, data=body, headers=headers) as answered:
                good = 200 <= answered.status < 300
                return answered.status, "" if good else "error_status_code"
        except TimeoutError:
            return 0, "request_timeout"
        except (ClientError, OSError):
            return 0, "could_not_connect"


def _problem(body: Json) -> str:
    """What LINE's own validation holds against the messages of a request."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not 1 <= len(messages) <= 5:
        return "The request body has 1 error(s): messages must be 1 to 5"
    for message in messages:
        if _units(message.get("text", "")) > 5000:
            return "The request body has 1 error(s): text must be at most 5000"
        items = (message.get("quickReply") or {}).get("items", ())
        if len(items) > 13:
            return "The request body has 1 error(s): items must be at most 13"
        if any(_too_long(action) for action in _actions(items)):
            return "The request body has 1 error(s): an action is too long"
    return ""


def _actions(items: Any) -> Iterator[Json]:
    for item in items:
        yield item.get("action") or {}


def _too_long(action: Json) -> bool:
    return (
        _units(action.get("label", "")) > 20
        or _units(action.get("data", "")) > 300
        or _units(action.get("displayText", "")) > 300
    )


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _refuse(message: str, status: int = 400) -> web.Response:
    return answer({"message": message}, status)


def _main() -> None:
    options = parser(__doc__ or "", 4010)
    options.add_argument("--quota", type=int, help="messages a month")
    options.add_argument("--per-user", type=int, help="pushes a second to one user")
    options.add_argument("--no-redelivery", action="store_true", help="as LINE is by default")
    given = options.parse_args()
    line = Line(
        token=given.token,
        secret=given.secret.encode(),
        history=given.history,
        temper=temper(given),
        quota=given.quota,
        rates=RATES,
        per_user=given.per_user,
    )
    line.endpoint = given.webhook
    line.redelivers = not given.no_redelivery
    run(line, given.port)


if __name__ == "__main__":
    _main()
