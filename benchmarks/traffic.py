"""What LINE and Telegram would post: learners who type "1", which always is an answer, and so
walk through all six steps."""

import base64
import hashlib
import hmac
import itertools
import time
from collections.abc import Callable, Iterator

SECRET = "channel-secret"
TOKEN = "access-token"
BOT = "U" + "b" * 32
TELEGRAM_TOKEN = "4242:token"
TELEGRAM_SECRET = "s" * 32

Make = Callable[[int, int], bytes]
"""A request of one learner; the second number is the event's own."""

_LINE = (
    '{"destination":"' + BOT + '","events":[{"type":"message","mode":"active",'
    '"timestamp":%d,"source":{"type":"user","userId":"U%032x"},"webhookEventId":"01K%023d",'
    '"deliveryContext":{"isRedelivery":false},"replyToken":"%032x",'
    '"message":{"type":"text","id":"%018d","text":"1","quoteToken":"q3Plxr4AgKd"}}]}'
)
_TELEGRAM = (
    '{"update_id":%d,"message":{"message_id":%d,"date":%d,"text":"1",'
    '"chat":{"id":%d,"type":"private","first_name":"U"},'
    '"from":{"id":%d,"is_bot":false,"first_name":"U","language_code":"th"}}}'
)


def line(learner: int, event: int) -> bytes:
    now = int(time.time() * 1000)
    return signed("/webhook/line", (_LINE % (now, learner, event, event, event)).encode())


def noop(learner: int, event: int) -> bytes:
    now = int(time.time() * 1000)
    return signed("/webhook/noop", (_LINE % (now, learner, event, event, event)).encode())


def signed(path: str, body: bytes) -> bytes:
    signature = base64.b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha256)).decode()
    return post(path, body, "x-line-signature: " + signature)


def telegram(learner: int, event: int) -> bytes:
    chat = 1_000_000 + learner
    body = _TELEGRAM % (event, event, int(time.time()), chat, chat)
    header = "X-Telegram-Bot-Api-Secret-Token: " + TELEGRAM_SECRET
    return post("/webhook/telegram", body.encode(), header)


def post(path: str, body: bytes, header: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bot.example.go.th\r\nUser-Agent: LineBotWebhook/2.0\r\n"
        f"Content-Type: application/json; charset=utf-8\r\n{header}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Crowd:
    """Learners who take turns, each event with an id of its own."""

    def __init__(self, learners: int, make: Make) -> None:
        self.learners = learners
        self._make = make
        self._next: Iterator[int] = itertools.count(1)

    def say(self, times: int) -> list[bytes]:
        """So many requests, made now: their time-stamps must be fresh when they are sent."""
        made = (next(self._next) for _ in range(times))
        return [self._make(event % self.learners, event) for event in made]
