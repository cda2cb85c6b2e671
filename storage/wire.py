"""What crosses the edge of storage: an event on its way in, a platform request on its way out."""

from datetime import datetime
from typing import Literal
from uuid import UUID, uuid5

from msgspec import Struct

from content.schema import Lang
from flows.types import AnyEvent, Reply

Lane = Literal["reply", "personal", "campaign", "fetch"]


class Incoming(Struct, frozen=True, omit_defaults=True):
    """One event of one address, as a channel read it. `event_id` is the platform's own id:
    the same (channel, bot, event_id) is the same event, however often it arrives."""

    channel: str
    bot: str
    event_id: str
    address: str
    event: AnyEvent
    at: datetime
    reply_token: str = ""
    token_until: datetime | None = None
    lang: Lang | None = None
    """A hint for somebody new."""
    learner: int = 0
    """Set instead of an address when the event is a timer of this learner's."""
    timer: int = 0
    """The timer that fired: its row goes in the same transaction."""


class Request(Struct, frozen=True, omit_defaults=True):
    """The content of one platform request: messages to send, or a photo to fetch."""

    replies: tuple[Reply, ...] = ()
    pictures: tuple[str, ...] = ()
    """A token for each picture in `replies`, in their order; it is served at
    `<public url>/pictures/<token>.png`."""
    fetch: str = ""
    """The platform's reference of a photo to fetch instead of sending."""
    photo: str = ""
    """The key in `photos` to keep it under."""


class Row(Struct, frozen=True):
    """An outbox row that has been claimed: one platform request."""

    id: int
    key: str
    """A UUID, fixed when the row was made: LINE's retry key."""
    channel: str
    address: str
    lane: Lane
    request: Request
    attempts: int
    """How many attempts there have been, this one included."""
    doubtful: bool
    """An earlier attempt may have been delivered."""
    reply_token: str = ""
    token_until: datetime | None = None
    chunk: str = ""
    """The retry key of the multicast that this row leaves by, if it does."""

    @property
    def unasked(self) -> bool:
        """Nobody is waiting for it: the gate is asked before it leaves."""
        return self.lane in ("personal", "campaign")

    @property
    def retry_key(self) -> str:
        """What LINE recognises a repeat by: always the same for the same row."""
        return self.key if self.lane != "campaign" else str(uuid5(CAMPAIGNS, self.key))


CAMPAIGNS = UUID("b9d2a1f4-6f0e-5a37-9c41-7f2f6f0d9b11")
"""Rows of campaigns are named after occurrence and learner; their retry keys after this."""


class Outcome(Struct, frozen=True, omit_defaults=True):
    """How an attempt ended. `retry` leaves the row queued for `wait` seconds from now."""

    status: Literal["accepted", "failed", "uncertain", "retry"]
    reason: str = ""
    wait: float = 0.0
    doubtful: bool = False
    """The attempt may have been delivered."""
    drop_token: bool = False
    """The reply token is of no more use: push next time."""
    unreachable: bool = False
    """The learner blocked us or is gone."""
    halt: bool = False
    """The platform refuses our credentials: stop this channel and call a person."""
    freeze: float = 0.0
    """Nobody on this channel may be sent to for so many seconds."""
    platform_id: str = ""
    pushed: bool = False
    """The platform counts it against the month: it went by push, not as a reply."""
