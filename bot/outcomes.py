"""What became of a send: the table of `docs/promises` as one pure function, `judge`.

There are three outcomes, not two: *not sent*, *accepted* and *unknown*. A message whose fate
is unknown may have arrived, so it is repeated only where the platform recognises the repeat
(LINE's retry key), or where a second copy is better than silence (a Telegram reply, once).
"""

from datetime import datetime, timedelta
from typing import Literal, assert_never

from msgspec import Struct
from msgspec.structs import replace

from storage.wire import Outcome, Row

Way = Literal["line_reply", "line_push", "line_multicast", "telegram", "fetch"]
KEYED: tuple[Way, ...] = ("line_push", "line_multicast")
"""Ways on which LINE recognises a repeat by its retry key."""
LINE: tuple[Way, ...] = ("line_reply", *KEYED)

BACKOFF_CAP = 300.0
FETCH_TRIES = 12
"""A photo that cannot be fetched for half an hour is given up: the learner can send it again."""
RETRY_KEY_TRIES = 150
"""LINE forgets a retry key after 24 h, and would then deliver the same message again.
At the longest back-off so many attempts take half of that."""
HALTED = 60.0
THROTTLED = 30.0
"""Seconds to wait at most where a platform does not say how long."""
LINE_PAUSE = 1.0
"""LINE's rate limits are per second and per channel."""


class Refused(Struct, frozen=True):
    """Not one byte of the request left us: no address, no connection, no TLS, no free socket."""

    why: str = ""


class Answered(Struct, frozen=True):
    """The platform answered with a status; `text` is its message, `wait` what it asks for."""

    status: int
    text: str = ""
    wait: float = 0.0
    platform_id: str = ""
    everyone: bool = False
    """The platform throttles the whole bot, not only this chat."""


class Lost(Struct, frozen=True):
    """The request was written, wholly or in part, and no answer that can be read came back."""

    why: str = ""


Heard = Refused | Answered | Lost

_GONE = (
    "chat not found",
    "user not found",
    "peer_id_invalid",
    "deactivated",
    "blocked by the user",
)


def backoff(attempts: int) -> float:
    """Seconds to wait after so many attempts: 1, 2, 4 … up to the cap."""
    return float(min(2.0 ** min(max(attempts, 1) - 1, 30), BACKOFF_CAP))


def judge(way: Way, heard: Heard, row: Row, now: datetime) -> Outcome:
    """How the attempt that has just ended counts.

    1. Not sent is always tried again; the sender falls back to push when the token has expired.
    2. A fate that is unknown is settled by the way it was sent.
    3. An answer is read by the way it was sent; one that says "our failure" leaves it unknown.
    4. Once an attempt is doubtful, the row stays so: nothing later can prove it failed.
    """
    match heard:
        case Refused(why=why):
            outcome = _again(row, why or "not_sent")
        case Lost(why=why):
            outcome = _unknown(way, row, now, why or "no_answer")
        case Answered(status=status, platform_id=sent) if 200 <= status < 300:
            return Outcome("accepted", platform_id=sent)
        case Answered(status=status) if not 400 <= status < 500 or status == 408:
            outcome = _unknown(way, row, now, f"status_{status}")
        case Answered():
            outcome = _refused(way, heard, row)
        case _:
            assert_never(heard)
    if way == "line_push" and row.reply_token and outcome.status == "retry":
        # a doubtful push must not be taken for a doubtful reply next time
        outcome = replace(outcome, drop_token=True)
    return _doubted(way, row, outcome, now)


def _again(row: Row, reason: str, wait: float = 0.0) -> Outcome:
    return Outcome("retry", reason, wait=max(wait, backoff(row.attempts)))


def _unknown(way: Way, row: Row, now: datetime, reason: str) -> Outcome:
    """The attempt may have been delivered."""
    again = replace(_again(row, reason), doubtful=True)
    uncertain = Outcome("uncertain", reason, doubtful=True)
    match way:
        case "fetch":  # reading twice does no harm
            return Outcome("failed", reason) if row.attempts >= FETCH_TRIES else _again(row, reason)
        case "line_push" | "line_multicast":
            return again if row.attempts < RETRY_KEY_TRIES else uncertain
        case "line_reply":
            return again if _alive(row, now, again.wait) else uncertain
        case "telegram":
            return again if row.lane == "reply" and not row.doubtful else uncertain
        case _:
            assert_never(way)


def _refused(way: Way, heard: Answered, row: Row) -> Outcome:
    """A 4xx: the platform has read the request and did not carry it out."""
    if heard.status == 429:
        return _throttled(way, heard, row)
    match way:
        case "telegram":
            return _telegram(heard, row)
        case "fetch":
            halted = _credentials(heard, row) if heard.status == 401 else None
            return halted or Outcome("failed", f"refused_{heard.status}")
        case "line_reply" | "line_push" | "line_multicast":
            return _line(way, heard, row)
        case _:
            assert_never(way)


def _throttled(way: Way, heard: Answered, row: Row) -> Outcome:
    text = heard.text.lower()
    if way in LINE and "monthly limit" in text:
        return Outcome("failed", "quota")
    # how often it was tried before says nothing of how long a rate is kept
    wait = heard.wait or min(backoff(row.attempts), THROTTLED)
    again = Outcome("retry", "throttled", wait=wait)
    if way == "telegram":
        return replace(again, freeze=wait) if heard.everyone else again
    if way == "line_push" and "user" in text:
        return again  # too many messages to this one: nobody else need wait
    return replace(again, freeze=max(heard.wait, LINE_PAUSE))


def _credentials(heard: Answered, row: Row) -> Outcome | None:
    """The row stays queued: it is our access that is broken, not the message."""
    if heard.status in (401, 403):
        return replace(_again(row, f"credentials_{heard.status}", HALTED), halt=True)
    return None


def _line(way: Way, heard: Answered, row: Row) -> Outcome:
    text = heard.text.lower()
    if heard.status == 409 and way in KEYED:
        return Outcome("accepted", "repeat", platform_id=heard.platform_id)
    if halted := _credentials(heard, row):
        return halted
    if way == "line_reply" and heard.status == 400 and "invalid reply token" in text:
        # after a doubtful attempt the token is most likely used up *because* that one arrived
        return Outcome("retry", "reply_token", drop_token=True)
    if way == "line_push" and heard.status == 400 and "failed to send messages" in text:
        return Outcome("failed", "unknown_user", unreachable=True)
    return Outcome("failed", f"refused_{heard.status}")


def _telegram(heard: Answered, row: Row) -> Outcome:
    text = heard.text.lower()
    if heard.status in (401, 404):  # 404: a token that is not even well formed
        return replace(_again(row, f"credentials_{heard.status}", HALTED), halt=True)
    if heard.status == 403:
        return Outcome("failed", "blocked", unreachable=True)
    if heard.status == 400 and any(sign in text for sign in _GONE):
        return Outcome("failed", "gone", unreachable=True)
    return Outcome("failed", f"refused_{heard.status}")


def _doubted(way: Way, row: Row, outcome: Outcome, now: datetime) -> Outcome:
    """Carry an earlier doubt into this outcome."""
    if not row.doubtful or way == "fetch" or outcome.status == "accepted":
        return outcome
    if outcome.status == "failed":
        return replace(outcome, status="uncertain", doubtful=True)
    if way == "line_reply" and (outcome.drop_token or not _alive(row, now, outcome.wait)):
        return replace(outcome, status="uncertain", doubtful=True, drop_token=False, wait=0.0)
    return replace(outcome, doubtful=True)


def _alive(row: Row, now: datetime, wait: float) -> bool:
    """The reply token can still be used when the next attempt is due."""
    return row.token_until is not None and now + timedelta(seconds=wait) < row.token_until
