"""LINE's own SDK: our replies as its messages, its failures as what we heard.

Importing this costs a second and 60 MB; `LineSender.start` does it, in a thread.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import ClientError, ClientTimeout
from linebot.v3.messaging import (  # type: ignore[import-untyped]
    Action,
    ApiException,
    AsyncApiClient,
    AsyncMessagingApi,
    AsyncMessagingApiBlob,
    Configuration,
    FlexBox,
    FlexBubble,
    FlexMessage,
    FlexText,
    ImageMessage,
    Message,
    MulticastRequest,
    PostbackAction,
    PushMessageRequest,
    QuickReply,
    QuickReplyItem,
    ReplyMessageRequest,
    RichMenuArea,
    RichMenuBounds,
    RichMenuRequest,
    RichMenuSize,
    ShowLoadingAnimationRequest,
    TextMessage,
    URIAction,
)

from bot.channels.line_send import BUTTONS, LABEL
from bot.channels.parts import clip, is_card, titled
from bot.channels.session import open_session, unanswered
from bot.outcomes import Answered, Heard
from content.schema import Lang, Menu
from flows.types import Choice, Reply

SHOWN = 300
ALT = 1500
CHAT_BAR = 14
OFFICIAL = "https://api.line.me"

Call = Awaitable[Any]

logging.getLogger("linebot").setLevel(logging.WARNING)  # it logs whole answers at DEBUG


class _Reply(ReplyMessageRequest):  # type: ignore[misc]
    """The SDK's own `to_dict` converts each message once for every level above it."""

    def to_dict(self) -> dict[str, Any]:
        return dict(self.dict(by_alias=True, exclude_none=True))


class _Push(PushMessageRequest):  # type: ignore[misc]
    def to_dict(self) -> dict[str, Any]:
        return dict(self.dict(by_alias=True, exclude_none=True))


class _Multicast(MulticastRequest):  # type: ignore[misc]
    """Five hundred addresses are ours, and good: neither checked nor copied one by one."""

    def to_dict(self) -> dict[str, Any]:
        said = [message.dict(by_alias=True, exclude_none=True) for message in self.messages]
        return {"to": self.to, "messages": said}


class Line:
    """The SDK's clients: one for messages, one for the host that carries pictures."""

    def __init__(self, access_token: str, base: str, timeout: ClientTimeout) -> None:
        # without a host the SDK knows that contents have one of their own
        host = None if base.rstrip("/") == OFFICIAL else base.rstrip("/")
        self._clients = [
            AsyncApiClient(Configuration(host=host, access_token=access_token)) for _ in range(2)
        ]
        self._base = base
        self._timeout = timeout
        self.api = AsyncMessagingApi(self._clients[0])
        self.blob = AsyncMessagingApiBlob(self._clients[1])

    async def open(self) -> None:
        """Give the clients sessions of ours: theirs read ~/.netrc in a thread for each request."""
        for client in self._clients:
            await client.rest_client.close()
            client.rest_client.pool_manager = open_session(self._base)

    async def close(self) -> None:
        for client in self._clients:
            await client.close()

    def reply(self, token: str, messages: list[Message]) -> Call:
        request = _Reply(replyToken=token, messages=messages)
        return self._bounded(self.api.reply_message_with_http_info, request)

    def push(self, address: str, key: str, messages: list[Message]) -> Call:
        request = _Push(to=address, messages=messages)
        return self._bounded(self.api.push_message_with_http_info, request, key)

    def multicast(self, addresses: Sequence[str], key: str, messages: list[Message]) -> Call:
        request = _Multicast.construct(to=list(addresses), messages=messages)
        return self._bounded(self.api.multicast_with_http_info, request, key)

    def quota(self) -> Call:
        return self._bounded(self.api.get_message_quota_with_http_info)

    def consumption(self) -> Call:
        return self._bounded(self.api.get_message_quota_consumption_with_http_info)

    def show_loading(self, address: str) -> Call:
        request = ShowLoadingAnimationRequest(chatId=address, loadingSeconds=5)
        return self._bounded(self.api.show_loading_animation_with_http_info, request)

    def content(self, message: str) -> Call:
        return self._bounded(self.blob.get_message_content_with_http_info, message)

    def bot_info(self) -> Call:
        return self._bounded(self.api.get_bot_info_with_http_info)

    def rich_menus(self) -> Call:
        return self._bounded(self.api.get_rich_menu_list_with_http_info)

    def create_rich_menu(self, request: RichMenuRequest) -> Call:
        return self._bounded(self.api.create_rich_menu_with_http_info, request)

    def set_rich_menu_image(self, rich_menu: str, png: bytes) -> Call:
        upload = self.blob.set_rich_menu_image_with_http_info
        return self._bounded(upload, rich_menu, png, _headers={"Content-Type": "image/png"})

    def set_default_rich_menu(self, rich_menu: str) -> Call:
        return self._bounded(self.api.set_default_rich_menu_with_http_info, rich_menu)

    def delete_rich_menu(self, rich_menu: str) -> Call:
        return self._bounded(self.api.delete_rich_menu_with_http_info, rich_menu)

    def _bounded(self, method: Callable[..., Call], *args: Any, **kwargs: Any) -> Call:
        """Left to itself the SDK waits for five minutes."""
        return method(*args, _request_timeout=self._timeout, **kwargs)


async def hear(call: Call) -> tuple[Heard, Any]:
    """How a call ended, and the data it brought."""
    try:
        response = await call
    except ApiException as error:
        return _answered(error), None
    except (ClientError, OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        # the last four: an answer that the SDK could not read, after LINE had carried it out
        return unanswered(error), None
    sent = getattr(response.data, "sent_messages", None)
    return Answered(response.status_code, platform_id=sent[0].id if sent else ""), response.data


def _answered(error: ApiException) -> Answered:
    headers = error.headers or {}
    try:
        wait = float(headers.get("Retry-After", 0))
    except ValueError:
        wait = 0.0
    accepted = headers.get("x-line-accepted-request-id", "")
    return Answered(error.status or 0, _message(error.body), wait, accepted)


def _message(body: str | bytes | None) -> str:
    """The `message` of LINE's error; there is no code to go by."""
    try:
        value = json.loads(body or "{}")
    except ValueError:
        return ""
    message = value.get("message") if isinstance(value, dict) else None
    return message if isinstance(message, str) else ""


# --- replies as messages ---------------------------------------------------------------


def messages(replies: Sequence[Reply], pictures: Sequence[str], public_url: str) -> list[Message]:
    """The message objects of one request. A picture is fetched by LINE from our address, which
    must be https; its text twin is in the reply either way. Quick replies hang on the newest
    message or are not seen at all, so the latest buttons go there."""
    tokens = iter(pictures)
    asking = next((reply for reply in reversed(replies) if reply.choices), None)
    made: list[Message] = []
    for reply in replies:
        token = next(tokens, "") if reply.picture else ""
        if token and public_url.startswith("https://"):
            url = f"{public_url.rstrip('/')}/pictures/{token}.png"
            made.append(ImageMessage(originalContentUrl=url, previewImageUrl=url))
        made.append(_worded(reply, asking if reply is replies[-1] else None))
    return made


def _worded(reply: Reply, asking: Reply | None) -> Message:
    """A text, or a bubble; `altText` is what a notification and a screen reader say."""
    buttons = _buttons(asking) if asking else None
    if not is_card(reply):
        return TextMessage(text=titled(reply), quickReply=buttons)
    title = FlexText(text=reply.title, weight="bold", size="lg", wrap=True)
    text = FlexText(text=reply.text, wrap=True)
    body = FlexBox(layout="vertical", spacing="md", contents=[title, text])
    bubble = FlexBubble(body=body)
    return FlexMessage(altText=clip(titled(reply), ALT), contents=bubble, quickReply=buttons)


def _buttons(reply: Reply) -> QuickReply:
    items = [
        QuickReplyItem(action=_action(c, c.stamp or reply.stamp)) for c in reply.choices[:BUTTONS]
    ]
    return QuickReply(items=items)


def _action(choice: Choice, stamp: str) -> Action:
    label = clip(choice.label or choice.says, LABEL)
    if choice.url:
        return URIAction(label=label, uri=choice.url)
    shown = clip(choice.says or choice.label, SHOWN)
    return PostbackAction(label=label, data=f"{stamp}:{choice.id}", displayText=shown)


def rich_menu(
    menu: Menu, lang: Lang, size: tuple[int, int], areas: Sequence[tuple[int, int, int, int]]
) -> RichMenuRequest:
    """The menu's fields over its picture. A tap is a press of a standing button, stamped `*`."""
    return RichMenuRequest(
        size=RichMenuSize(width=size[0], height=size[1]),
        selected=True,
        name=menu.name,
        chatBarText=clip(menu.bar.of(lang), CHAT_BAR),
        areas=[
            RichMenuArea(
                bounds=RichMenuBounds(x=x, y=y, width=width, height=height),
                action=_action(Choice(area.word, area.label.of(lang)), "*"),
            )
            for area, (x, y, width, height) in zip(menu.areas, areas, strict=True)
        ],
    )
