"""Is a channel set up as it should be? What the platforms answer becomes facts; the console has a
sentence for the name of each. Plain requests: the SDKs cost a second and 60 MB."""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout
from msgspec import Struct

from bot.channels.session import open_session
from bot.config import Settings

TIMEOUT = ClientTimeout(total=8)
"""LINE waits two seconds for our webhook when it tests it."""
LARGEST = 256 * 1024
ENOUGH = 0.9
"""The share of a month's messages after which somebody should know."""
RECENT = 3600.0
"""Seconds for which a failure of a webhook is news."""


class Found(Struct, frozen=True):
    """One fact about a channel. `good`: None is neither good nor bad; `slots` go into its
    sentence."""

    id: str
    good: bool | None
    slots: dict[str, str] = {}


class Probed(Struct, frozen=True):
    """What a channel said, and when."""

    at: datetime
    found: tuple[Found, ...]

    def is_good(self, *ids: str) -> bool | None:
        """Whether one of these was found to be so; None where none of them was looked at."""
        seen = [each.good for each in self.found if each.id in ids]
        return None if not seen else all(good is not False for good in seen)


class Asking:
    """Asks one platform; an answer that never comes has the status 0."""

    def __init__(self, session: ClientSession, base: str, headers: dict[str, str]) -> None:
        self._session, self._base, self._headers = session, base, headers

    async def __call__(
        self, method: str, path: str, body: Any = None
    ) -> tuple[int, dict[str, Any]]:
        try:
            async with self._session.request(
                method, self._base + path, json=body, headers=self._headers, timeout=TIMEOUT,
                allow_redirects=False,
            ) as answer:  # fmt: skip
                raw = await answer.content.read(LARGEST)
                value = json.loads(raw or b"{}")
                return answer.status, value if isinstance(value, dict) else {}
        except (ClientError, OSError, TimeoutError, ValueError):
            return 0, {}


async def line(settings: Settings) -> tuple[Found, ...]:
    """What LINE says of its bot and of our webhook."""
    async with open_session(settings.line_base) as session:
        key = {"Authorization": f"Bearer {settings.line_token}"}
        ask = Asking(session, settings.line_base, key)
        status, bot = await ask("GET", "/v2/bot/info")
        if status != 200:
            return (_refused("line", status),)
        named = {"name": _text(bot, "displayName"), "id": _text(bot, "basicId")}
        chat = _text(bot, "chatMode") == "bot"
        return (
            Found("line_bot", True, named),
            Found("line_chat_off" if chat else "line_chat_on", chat),
            *await _line_webhook(ask, settings),
            await _line_menu(ask),
            await _line_quota(ask),
        )


def _refused(channel: str, status: int) -> Found:
    if status in (401, 403, 404):
        return Found(f"{channel}_token", False)
    key = f"{channel}_busy" if status == 429 else f"{channel}_silent"
    return Found(key, False, {"status": str(status)})


def _text(value: dict[str, Any], key: str) -> str:
    return str(value.get(key) or "")[:200]


def line_address(settings: Settings) -> str:
    return f"{settings.public_url}/webhook/line"


async def _line_webhook(ask: Asking, settings: Settings) -> list[Found]:
    if not settings.public_url.startswith("https://"):
        return [Found("line_no_url", False)]
    status, set_ = await ask("GET", "/v2/bot/channel/webhook/endpoint")
    where = _text(set_, "endpoint")
    if status != 200 or not where:
        return [Found("line_webhook_none", False)]
    if where != line_address(settings):
        return [Found("line_webhook_other", False, {"url": where})]
    if set_.get("active") is not True:
        return [Found("line_webhook_off", False)]
    status, tested = await ask("POST", "/v2/bot/channel/webhook/test", {"endpoint": where})
    if status == 429:
        return [Found("line_webhook", True), Found("line_test_later", None)]
    if tested.get("success") is True:
        return [Found("line_webhook", True), Found("line_test", True)]
    why = {"why": _text(tested, "reason"), "status": _text(tested, "statusCode") or "0"}
    return [Found("line_webhook", True), Found("line_test_failed", False, why)]


async def _line_menu(ask: Asking) -> Found:
    status, menu = await ask("GET", "/v2/bot/user/all/richmenu")
    good = status == 200 and bool(menu.get("richMenuId"))
    return Found("line_menu" if good else "line_menu_none", good)


async def _line_quota(ask: Asking) -> Found:
    _, limit = await ask("GET", "/v2/bot/message/quota")
    _, used = await ask("GET", "/v2/bot/message/quota/consumption")
    spent = used.get("totalUsage")
    if not isinstance(spent, int):
        return Found("line_quota_unknown", None)
    most = limit.get("value")
    if limit.get("type") != "limited" or not isinstance(most, int):
        return Found("line_quota_free", True, {"used": f"{spent:,}"})
    slots = {"used": f"{spent:,}", "most": f"{most:,}"}
    good = spent < most * ENOUGH
    return Found("line_quota" if good else "line_quota_short", good, slots)


async def telegram(settings: Settings, now: datetime) -> tuple[Found, ...]:
    """What Telegram says of its bot and of how it reaches us."""
    base = f"{settings.telegram_base}/bot{settings.telegram_token}"
    async with open_session(settings.telegram_base) as session:
        ask = Asking(session, base, {})
        status, bot = await ask("GET", "/getMe")
        if status != 200:
            return (_refused("telegram", status),)
        name = {"name": _text(_result(bot), "username")}
        return (
            Found("telegram_bot", True, name),
            await _telegram_webhook(ask, settings, now),
            await _telegram_commands(ask),
        )


def _result(value: dict[str, Any]) -> dict[str, Any]:
    found = value.get("result")
    return found if isinstance(found, dict) else {}


def telegram_address(settings: Settings) -> str:
    return f"{settings.public_url}/webhook/telegram"


async def _telegram_webhook(ask: Asking, settings: Settings, now: datetime) -> Found:
    status, value = await ask("GET", "/getWebhookInfo")
    info = _result(value)
    where, waiting = _text(info, "url"), {"n": str(info.get("pending_update_count", 0))}
    if status != 200:
        return Found("telegram_silent", False, {"status": str(status)})
    if settings.telegram_mode == "polling":
        return Found("telegram_polling_blocked" if where else "telegram_polling", not where)
    if not where:
        return Found("telegram_webhook_none", False)
    if where != telegram_address(settings):
        return Found("telegram_webhook_other", False, {"url": where})
    failed = info.get("last_error_date")
    if isinstance(failed, int | float) and now.timestamp() - failed < RECENT:
        why = {"why": _text(info, "last_error_message"), **waiting}
        return Found("telegram_webhook_failing", False, why)
    return Found("telegram_webhook", True, waiting)


async def _telegram_commands(ask: Asking) -> Found:
    _, value = await ask("GET", "/getMyCommands")
    good = bool(value.get("result"))
    return Found("telegram_commands" if good else "telegram_commands_none", good)


# --- mending -----------------------------------------------------------------------------


async def set_line_webhook(settings: Settings) -> bool:
    """Tell LINE where our webhook is; whether it took that."""
    async with open_session(settings.line_base) as session:
        key = {"Authorization": f"Bearer {settings.line_token}"}
        ask = Asking(session, settings.line_base, key)
        to = {"endpoint": line_address(settings)}
        status, _ = await ask("PUT", "/v2/bot/channel/webhook/endpoint", to)
        return status == 200


Probe = Callable[[Settings, datetime], Awaitable[tuple[Found, ...]]]
PROBES: dict[str, Probe] = {"line": lambda settings, now: line(settings), "telegram": telegram}
