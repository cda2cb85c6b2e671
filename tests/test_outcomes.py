"""Every cell of the send table in `docs/promises`: what happened, by the way it was sent."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, get_args

import pytest
from msgspec.structs import replace

from bot.outcomes import Answered, Heard, Lost, Refused, Way, backoff, judge
from storage.wire import Lane, Outcome, Request, Row

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
KEY = "123e4567-e89b-12d3-a456-426614174000"
ROW = Row(1, KEY, "any", "U1", "reply", Request(), attempts=1, doubtful=False)
TOKEN = {"reply_token": "token", "token_until": NOW + timedelta(seconds=50)}
DEAD = {"reply_token": "token", "token_until": NOW}
RATE = "The API rate limit has been exceeded. Try again later."
ONE = "Too many messages were sent to the same user."
MONTHLY = "You have reached your monthly limit."
USED = "Invalid reply token"
BLOCKED = "Forbidden: bot was blocked by the user"
DEACTIVATED = "Forbidden: user is deactivated"
NO_CHAT = "Bad Request: chat not found"
SLOW = "Too Many Requests: retry after 7"

retry = {"status": "retry"}
doubtful = {"status": "retry", "doubtful": True}
uncertain = {"status": "uncertain", "doubtful": True}
failed = {"status": "failed", "unreachable": False, "halt": False}
gone = {"status": "failed", "unreachable": True}
halt = {"status": "retry", "halt": True, "doubtful": False}
accepted = {"status": "accepted", "doubtful": False}

CASES: list[tuple[str, Way, Heard, dict[str, Any], dict[str, Any]]] = [
    # not sent: no address, no connection, no TLS, no free socket
    ("refused", "line_push", Refused("dns"), {}, retry | {"doubtful": False, "wait": 1.0}),
    ("refused", "line_push", Refused(), {"attempts": 4}, retry | {"wait": 8.0}),
    ("refused, once doubtful", "line_push", Refused(), {"doubtful": True}, doubtful),
    ("refused", "line_reply", Refused(), TOKEN, retry | {"drop_token": False}),
    ("refused, token expired", "line_reply", Refused(), DEAD, retry | {"doubtful": False}),
    ("refused, once doubtful", "line_reply", Refused(), TOKEN | {"doubtful": True}, doubtful),
    ("refused, doubtful, dead", "line_reply", Refused(), DEAD | {"doubtful": True}, uncertain),
    ("refused", "telegram", Refused(), {}, retry | {"doubtful": False}),
    ("refused", "telegram", Refused(), {"lane": "campaign"}, retry | {"doubtful": False}),
    ("refused", "telegram", Refused(), {"doubtful": True}, doubtful),
    # accepted
    ("200", "line_push", Answered(200, platform_id="4"), {}, accepted | {"platform_id": "4"}),
    ("200", "line_reply", Answered(200), TOKEN, accepted),
    ("200", "line_multicast", Answered(200), {}, accepted),
    ("refused", "line_multicast", Refused(), {}, retry | {"doubtful": False, "wait": 1.0}),
    ("409", "line_multicast", Answered(409, platform_id="r"), {"doubtful": True}, accepted),
    ("400", "line_multicast", Answered(400, "A message is invalid"), {}, failed),
    ("401", "line_multicast", Answered(401), {}, halt),
    ("500", "line_multicast", Answered(500), {}, doubtful),
    ("lost", "line_multicast", Lost(), {}, doubtful),
    ("lost, at last", "line_multicast", Lost(), {"attempts": 150}, uncertain),
    ("200, once doubtful", "line_reply", Answered(200), TOKEN | {"doubtful": True}, accepted),
    ("200", "telegram", Answered(200, platform_id="9"), {}, accepted | {"platform_id": "9"}),
    ("200", "fetch", Answered(200), {}, accepted),
    # a repeat that LINE recognised
    ("409", "line_push", Answered(409, platform_id="r"), {"doubtful": True}, accepted),
    ("409", "line_push", Answered(409), {}, accepted),
    ("409", "line_reply", Answered(409), TOKEN, failed),
    ("409", "telegram", Answered(409), {}, failed),
    # throttled
    ("rate", "line_push", Answered(429, RATE), {}, retry | {"wait": 1.0, "freeze": 1.0}),
    ("rate", "line_push", Answered(429, RATE, 9), {}, retry | {"wait": 9.0, "freeze": 9.0}),
    ("rate", "line_reply", Answered(429, RATE), TOKEN, retry | {"drop_token": False}),
    ("rate, token expired", "line_reply", Answered(429, RATE), DEAD, retry | {"doubtful": False}),
    ("rate, doubtful", "line_reply", Answered(429, RATE), DEAD | {"doubtful": True}, uncertain),
    ("quota", "line_push", Answered(429, MONTHLY), {}, failed | {"reason": "quota"}),
    ("quota", "line_reply", Answered(429, MONTHLY), TOKEN, failed | {"reason": "quota"}),
    ("chat", "telegram", Answered(429, SLOW, 7), {}, retry | {"wait": 7.0, "freeze": 0.0}),
    ("bot", "telegram", Answered(429, SLOW, 7, everyone=True), {}, retry | {"freeze": 7.0}),
    ("chat", "telegram", Answered(429, SLOW, 7), {"lane": "campaign"}, retry | {"freeze": 0.0}),
    ("one user", "line_push", Answered(429, ONE), {}, retry | {"wait": 1.0, "freeze": 0.0}),
    ("rate", "line_multicast", Answered(429, RATE), {}, retry | {"wait": 1.0, "freeze": 1.0}),
    ("quota", "line_multicast", Answered(429, MONTHLY), {}, failed | {"reason": "quota"}),
    (
        "quota, doubtful",
        "line_multicast",
        Answered(429, MONTHLY),
        {"doubtful": True},
        uncertain,
    ),
    ("no word of when", "telegram", Answered(429), {"attempts": 3}, retry | {"wait": 4.0}),
    ("rate", "fetch", Answered(429, RATE), {}, retry),
    # content that is refused
    ("400", "line_push", Answered(400, "A message is invalid"), {}, failed),
    ("413", "line_push", Answered(413), {}, failed),
    ("unknown user", "line_push", Answered(400, "Failed to send messages"), {}, gone),
    ("400", "line_reply", Answered(400, "A message is invalid"), TOKEN, failed),
    ("413", "line_reply", Answered(413), TOKEN, failed),
    ("400", "telegram", Answered(400, "Bad Request: message is too long"), {}, failed),
    ("413", "telegram", Answered(413), {}, failed),
    ("400", "fetch", Answered(400), {}, failed),
    ("404", "fetch", Answered(404), {}, failed),
    ("410", "fetch", Answered(410), {"doubtful": True}, failed),
    ("400, once doubtful", "line_push", Answered(400), {"doubtful": True}, uncertain),
    # the reply token
    ("token", "line_reply", Answered(400, USED), TOKEN, retry | {"drop_token": True, "wait": 0.0}),
    ("token", "line_reply", Answered(400, USED), TOKEN | {"attempts": 3}, {"drop_token": True}),
    (
        "token, once doubtful",
        "line_reply",
        Answered(400, USED),
        TOKEN | {"doubtful": True},
        uncertain | {"drop_token": False},
    ),
    # credentials
    ("401", "line_push", Answered(401), {}, halt),
    ("403", "line_push", Answered(403), {}, halt),
    ("401", "line_reply", Answered(401), TOKEN, halt),
    ("403", "line_reply", Answered(403), TOKEN, halt),
    ("401", "telegram", Answered(401, "Unauthorized"), {}, halt),
    ("404", "telegram", Answered(404, "Not Found"), {}, halt),
    ("401", "fetch", Answered(401), {}, halt),
    # nobody there
    ("blocked", "telegram", Answered(403, BLOCKED), {}, gone | {"reason": "blocked"}),
    ("deactivated", "telegram", Answered(403, DEACTIVATED), {"lane": "campaign"}, gone),
    ("no chat", "telegram", Answered(400, NO_CHAT), {}, gone),
    (
        "blocked, doubtful",
        "telegram",
        Answered(403, BLOCKED),
        {"doubtful": True},
        uncertain | {"unreachable": True},
    ),
    # a photo is only read
    ("refused", "fetch", Refused(), {}, retry | {"doubtful": False}),
]
UNKNOWN: tuple[Heard, ...] = (Lost("timeout"), Answered(500), Answered(502, "x"), Answered(302))
for lost in UNKNOWN:
    CASES += [
        ("lost", "line_push", lost, {}, doubtful | {"wait": 1.0}),
        ("lost again", "line_push", lost, {"doubtful": True, "attempts": 9}, doubtful),
        ("lost for a day", "line_push", lost, {"attempts": 150}, uncertain),
        ("lost", "line_push", lost, DEAD, doubtful | {"drop_token": True}),
        ("lost", "line_reply", lost, TOKEN, doubtful | {"drop_token": False}),
        ("lost again", "line_reply", lost, TOKEN | {"doubtful": True}, doubtful),
        ("lost late", "line_reply", lost, TOKEN | {"attempts": 8}, uncertain),
        ("lost, token expired", "line_reply", lost, DEAD, uncertain),
        ("lost reply", "telegram", lost, {}, doubtful),
        ("lost reply again", "telegram", lost, {"doubtful": True}, uncertain),
        ("lost campaign", "telegram", lost, {"lane": "campaign"}, uncertain),
        ("lost nudge", "telegram", lost, {"lane": "personal"}, uncertain),
        ("lost", "fetch", lost, {}, retry | {"doubtful": False}),
        ("lost too often", "fetch", lost, {"attempts": 12}, failed),
    ]


@pytest.mark.parametrize(
    ("way", "heard", "row", "expected"),
    [pytest.param(*case[1:], id=f"{case[1]}: {case[0]} {n}") for n, case in enumerate(CASES)],
)
def test_the_send_table(
    way: Way, heard: Heard, row: dict[str, Any], expected: dict[str, Any]
) -> None:
    """An attempt ends as the table says."""
    outcome = judge(way, heard, replace(ROW, **row), NOW)

    assert {name: getattr(outcome, name) for name in expected} == expected


STATUSES = (0, 100, 200, 202, 204, 302, 307, 418, 499, 500, 502, 503, 504, 599, *range(400, 432))


def everything() -> list[tuple[Way, Heard, Row, Outcome]]:
    """All ways, answers, lanes and histories, with what is made of them."""
    heard: list[Heard] = [Refused(), Lost()]
    texts = ["", USED, MONTHLY, RATE, BLOCKED, NO_CHAT, "Failed to send messages"]
    heard += [Answered(status, text) for status in STATUSES for text in texts]
    rows = [
        replace(ROW, lane=lane, doubtful=doubt, attempts=attempts, **token)
        for lane, doubt, attempts, token in product(
            get_args(Lane), (False, True), (1, 200), ({}, TOKEN, DEAD)
        )
    ]
    ways: tuple[Way, ...] = get_args(Way)
    return [(w, h, r, judge(w, h, r, NOW)) for w, h, r in product(ways, heard, rows)]


def test_what_may_have_arrived_is_never_sent_where_the_repeat_is_not_recognised() -> None:
    """A doubtful row is repeated with a retry key, with its own reply token while that is alive,
    or as a Telegram reply; and no outcome forgets the doubt."""
    for way, heard, row, outcome in everything():
        doubt = outcome.doubtful
        if row.doubtful and way != "fetch" and outcome.status != "accepted":
            assert doubt, (way, heard, row)
            assert outcome.status != "failed"
        if doubt and outcome.status == "retry":
            assert way == "line_push" or not outcome.drop_token
            if way == "line_reply":
                assert row.token_until is not None
                assert NOW + timedelta(seconds=outcome.wait) < row.token_until
            if way == "telegram" and isinstance(heard, Lost):
                assert row.lane == "reply"
                assert not row.doubtful


def test_only_a_retry_waits_or_touches_the_token() -> None:
    """What has ended asks for nothing more."""
    for _, _, _, outcome in everything():
        if outcome.status != "retry":
            assert not outcome.wait
            assert not outcome.drop_token
        assert outcome.wait <= 300
        assert outcome.reason or outcome.status == "accepted"


def test_back_off_doubles_up_to_a_cap() -> None:
    """1, 2, 4 … 256, then five minutes, however many attempts there were."""
    assert [backoff(n) for n in (0, 1, 2, 3, 9, 10, 10_000)] == [1, 1, 2, 4, 256, 300, 300]
