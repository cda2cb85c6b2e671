"""Telegram without a public address: ask for updates, confirm them once they are on disk."""

import asyncio
from typing import TYPE_CHECKING

import structlog

from bot.dispatch import Unavailable
from bot.errors import SendError

if TYPE_CHECKING:
    from bot.app import App
    from bot.channels.telegram import TelegramSender

log = structlog.get_logger()


async def poll(app: "App", sender: "TelegramSender") -> None:
    """Fetch and take updates for ever. The next request's offset is what confirms them to
    Telegram, so a crash before it brings them again, and the inbox knows them."""
    offset, pause = 0, 1.0
    await _forget_webhook(sender)
    while True:
        try:
            updates = await sender.poll(offset)
            # one commit for all of them; presses are acknowledged after it
            await asyncio.gather(*(app.edge.take_telegram(update) for update in updates))
        except Unavailable:
            await asyncio.sleep(1)
            continue
        except SendError as error:
            log.warning("polling failed", error=str(error), permanent=error.permanent)
            pause = min(pause * 2, 60.0)
            await asyncio.sleep(pause)
            continue
        except Exception as error:  # polling must not end by a bug
            log.error("polling failed", error=type(error).__name__)
            await asyncio.sleep(pause)
            continue
        pause = 1.0
        ids = [update.get("update_id") for update in updates]
        offset = max([offset, *(n + 1 for n in ids if isinstance(n, int))])


async def _forget_webhook(sender: "TelegramSender") -> None:
    """Telegram gives no updates while a webhook is set."""
    try:
        await sender.delete_webhook()
    except SendError as error:
        log.warning("cannot reach Telegram yet", error=str(error))
