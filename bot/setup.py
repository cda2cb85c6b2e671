"""Telling the platforms about us: LINE's rich menu, Telegram's commands and webhook."""

from datetime import UTC, datetime

from rich.console import Console

from bot.channels.line import LineSender
from bot.channels.telegram import TelegramSender
from bot.config import Settings
from bot.errors import SendError
from bot.render import menu
from bot.render.pictures import draw
from content.schema import Content
from storage.database import ConfigError


def _now() -> datetime:
    return datetime.now(UTC)


async def setup(settings: Settings, content: Content, out: Console) -> None:
    """Each platform that is switched on; says what to do by hand where there is no API for it."""
    if not (settings.line_token or settings.telegram_token):
        raise ConfigError("no channel is on: set LINE_CHANNEL_SECRET or TELEGRAM_BOT_TOKEN")
    try:
        if settings.line_token:
            await set_line(settings, content, out)
        if settings.telegram_token:
            await set_telegram(settings, content, out)
    except SendError as error:
        raise ConfigError(f"the platform refused: {error}") from error


async def set_line(settings: Settings, content: Content, out: Console) -> None:
    """LINE's rich menu."""
    sender = LineSender(settings.line_token, clock=_now, base=settings.line_base)
    await sender.start()
    try:
        picture, bounds = menu.draw(content.menu, "th")
        made = await sender.set_menu(content.menu, "th", picture, bounds)
        out.print(f"LINE: bot {await sender.bot_id()}, rich menu {made}")
        out.print(f"LINE: set the webhook URL to {settings.public_url}/webhook/line")
        out.print("LINE: switch on 'Webhook redelivery', so that no message is lost")
    finally:
        await sender.close()


async def set_telegram(settings: Settings, content: Content, out: Console) -> None:
    """Telegram's commands and, where it is to call us, its webhook."""
    base = settings.telegram_base
    sender = TelegramSender(settings.telegram_token, clock=_now, draw=draw, base=base)
    await sender.start()
    try:
        await sender.set_commands(content.menu)
        if settings.telegram_mode == "webhook":
            url = f"{settings.public_url}/webhook/telegram"
            await sender.set_webhook(url, settings.telegram_secret)
            out.print(f"Telegram: webhook {url}")
        out.print(f"Telegram: bot {await sender.bot_id()}, commands set in Thai and English")
    finally:
        await sender.close()


async def name_of(settings: Settings, channel: str) -> str:
    """What our bot is called on a platform: LINE's basic id with its @, Telegram's user name."""
    sender: LineSender | TelegramSender
    if channel == "line":
        sender = LineSender(settings.line_token, clock=_now, base=settings.line_base)
    else:
        base = settings.telegram_base
        sender = TelegramSender(settings.telegram_token, clock=_now, draw=draw, base=base)
    await sender.start()
    try:
        return await sender.name()
    except SendError as error:
        raise ConfigError(f"the platform refused: {error}") from error
    finally:
        await sender.close()
