"""Signed webhooks: what they tell of whom, that nothing is lost, and that they reach nobody whom
they must not reach."""

import ipaddress
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from msgspec import Struct
from sqlalchemy import select, update

from bot.outside import Answer, Forbidden, Outside, Resolver, check, is_public
from bot.push import signed
from content.schema import Content
from storage.models import audit, grants, hooks, persons
from tests.agency import POISON, TOLD, full
from tests.pushing import Pushing, push
from tests.running import kaona, ready, rows
from tests.simulators.store import Receiver, verify


class Received(Struct):
    receiver: Receiver
    url: str


@pytest.fixture
def there() -> Iterator[Received]:
    receiver = Receiver()
    with receiver.in_thread() as base:
        yield Received(receiver, base + "/hook")


async def hooked(here: Pushing, there: Received, who: str = "hr", **more: Any) -> int:
    made = await here.hook(who, there.url, **more)
    there.receiver.secret = made["secret"]
    there.receiver.clock = lambda: here.clock.now.timestamp()
    return int(made["id"])


# --- what they tell ----------------------------------------------------------------------


def test_events_come_signed_in_order_and_without_what_was_written(
    url: str, content: Content, there: Received
) -> None:
    async def story(here: Pushing) -> None:
        await hooked(here, there)
        await here.happen("a1")
        await here.tick(2)

    push(url, content, story)

    events = there.receiver.events
    assert there.receiver.bad == 0
    assert len(events) == TOLD
    assert [event["type"] for event in events][:4] == ["claimed", "placed", "measured", "planned"]
    assert len({event["id"] for event in events}) == TOLD
    assert {event["hr_id"] for event in events} == {"HR-a1"}
    assert {tuple(event) for event in events} == {("id", "type", "at", "learner", "data", "hr_id")}
    whole = json.dumps(events)
    assert POISON not in whole
    assert "Name-" not in whole
    allowed = {"round", "step", "group", "by", "when"}  # nothing that learners are not told of
    assert {key for event in events for key in event["data"]} <= allowed


def test_only_the_topics_that_were_asked_for(url: str, content: Content, there: Received) -> None:
    async def story(here: Pushing) -> None:
        id = await hooked(here, there, topics=["step_done", "certified"])
        ids = await here.happen("a1")
        await here.tick()
        assert (await here.row(id)).cursor == ids[-1]

    push(url, content, story)
    assert [event["type"] for event in there.receiver.events] == ["step_done", "certified"]


@pytest.mark.parametrize(
    ("who", "sees"),
    [
        ("hr", {"a1": True, "a2": True}),
        ("hr1", {"a1": True}),
        ("approver", {"a1": False, "a2": False}),
    ],
)
def test_each_hook_tells_what_its_person_may_know(
    url: str, content: Content, there: Received, who: str, sees: dict[str, bool]
) -> None:
    """HR of a division: its people. An approver: everybody, nobody by HR's id."""

    async def story(here: Pushing) -> None:
        await hooked(here, there, who, topics=["certified"])
        for learner in ("a1", "a2"):
            await here.happen(learner)
        await here.tick()

    push(url, content, story)
    found = [event.get("hr_id") for event in there.receiver.events]
    assert found == [f"HR-{learner}" if named else None for learner, named in sees.items()]


@pytest.mark.parametrize("who", ["h1", "ocsc", "admin", "nobody", "none"])
def test_whoever_may_not_know_has_no_hooks(url: str, content: Content, who: str) -> None:
    async def story(here: Pushing) -> None:
        given = {"kind": "webhook", "url": "https://example.org", "topics": []}
        given |= {"user": "", "password": ""}
        answer = await here.do("hook_add", hr_id=f"HR-{who}", **given)
        assert "refused" in answer

    push(url, content, story)
    assert rows(url, select(hooks)) == []


def test_rights_are_asked_for_at_the_moment_of_sending(
    url: str, content: Content, there: Received
) -> None:
    """Somebody moves out of the division; then its officer loses the role."""

    async def story(here: Pushing) -> None:
        id = await hooked(here, there, "hr1", topics=["certified"])
        for learner in ("a1", "b1"):
            await here.happen(learner)
        moved = update(persons).where(persons.c.id == here.agency.persons["a1"])
        two = here.agency.units["two"]
        await here.write(lambda conn, now: conn.execute(moved.values(unit_id=two)) and None)
        await here.tick()
        assert [event["hr_id"] for event in there.receiver.events] == ["HR-b1"]
        over = update(grants).where(grants.c.person_id == here.agency.persons["hr1"])
        await here.write(lambda conn, now: conn.execute(over.values(until_on=1)) and None)
        await here.happen("b1")
        await here.tick()
        row = await here.row(id)
        assert row.ended_at is not None
        assert "may not" in row.problem

    push(url, content, story)
    assert len(there.receiver.events) == 1
    ended = rows(url, select(audit.c.action).where(audit.c.action.startswith("hook")))
    assert [row[0] for row in ended] == ["hook_added", "hook_ended"]


# --- that they arrive --------------------------------------------------------------------

FAULTS: list[Any] = ["lost", 500, 429, "reset", 503, "broken", 404, 302, "lost"]


def test_whatever_the_receiver_does_nothing_is_lost(
    url: str, content: Content, there: Received
) -> None:
    async def story(here: Pushing) -> None:
        await hooked(here, there)
        for fault in FAULTS:
            await here.happen("a1")
            await here.tick()
            there.receiver.fail_next(1, fault)
            await here.happen("a2", [("round_begun", {"round": 2})])
            await here.tick(3, pause=6 * 3600)

    push(url, content, story)

    seen: list[str] = []
    for event in there.receiver.events:
        if event["id"] not in seen:  # as a receiver does: the id tells what came twice
            seen.append(event["id"])
    assert len(seen) == len(FAULTS) * (TOLD + 1)
    assert len(there.receiver.events) <= len(seen) + 3  # only where an answer was lost
    assert not any(record["path"] == "/elsewhere" for record in there.receiver.history)


def test_a_receiver_may_say_when_to_come_back(url: str, content: Content, there: Received) -> None:
    async def story(here: Pushing) -> None:
        await hooked(here, there, topics=["certified"])
        await here.happen("a1")
        there.receiver.fail_next(1, 429)
        await here.tick(2, pause=590)
        assert there.receiver.events == []
        await here.tick(2, pause=11)
        assert len(there.receiver.events) == 1

    push(url, content, story)


def test_a_receiver_that_is_gone_is_let_go(url: str, content: Content, there: Received) -> None:
    async def story(here: Pushing) -> None:
        id = await hooked(here, there)
        await here.happen("a1")
        there.receiver.fail_next(1, 410)
        await here.tick(3, pause=6 * 3600)
        row = await here.row(id)
        assert row.ended_at is not None
        assert "410" in row.problem

    push(url, content, story)
    assert there.receiver.events == []


def test_a_test_event_arrives_at_once(url: str, content: Content, there: Received) -> None:
    async def story(here: Pushing) -> None:
        id = await hooked(here, there)
        answer = await here.do("hook_test", id=id)
        assert answer == {"status": 200, "why": "", "accepted": True}

    push(url, content, story)
    assert [event["type"] for event in there.receiver.events] == ["test"]


def test_a_signature_is_good_for_this_body_at_this_time_only() -> None:
    secret = "whsec_" + "QUJD" * 8
    headers = signed(secret, "id-1", 1_000_000, b'{"x": 1}')

    assert verify(secret, headers, b'{"x": 1}', 1_000_000)
    assert not verify(secret, headers, b'{"x": 2}', 1_000_000)
    assert not verify(secret, headers, b'{"x": 1}', 1_000_301)
    assert not verify("whsec_" + "QUJE" * 8, headers, b'{"x": 1}', 1_000_000)
    assert not verify(secret, headers | {"webhook-id": "id-2"}, b'{"x": 1}', 1_000_000)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example that its own libraries are tested with."""
    headers = signed(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )

    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_check_in_the_documents_works() -> None:
    """The ten lines of docs/api.md, as they stand there."""
    text = (Path(__file__).parent.parent / "docs" / "api.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?def verify.*?)```", text, re.DOTALL)
    assert found is not None
    known: dict[str, Any] = {}
    exec(found[1], known)
    secret = "whsec_" + "QUJD" * 8
    import time

    headers = signed(secret, "id-1", int(time.time()), b"{}")

    assert known["verify"](secret, headers, b"{}")
    assert not known["verify"](secret, headers, b"{ }")
    assert not known["verify"](secret, signed(secret, "id-1", 1, b"{}"), b"{}")


# --- whom they do not reach --------------------------------------------------------------

PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1", "fc00::1",
    "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1",
    "2001:db8::1", "192.0.2.1", "198.18.0.1",
]  # fmt: skip
BAD_URLS = [
    "http://example.org/x",
    "ftp://example.org/x",
    "file:///etc/passwd",
    "https:///x",
    "https://user:pass@example.org/",
    "https://example.org/#x",
    "https://exa mple.org/",
    "https://example.org/\r\nX: y",
    "https://example.org\\@127.0.0.1/",
    "https://127.1/",
    "https://0x7f000001/",
    "https://2130706433/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://example.org:99999/",
    "https://" + "a" * 1000,
    "javascript:alert(1)",
    "",
    *(f"https://{f'[{one}]' if ':' in one else one}/x" for one in PRIVATE),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "203.150.0.1", "2606:4700:4700::1111"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("url", BAD_URLS)
def test_addresses_that_nothing_is_sent_to(url: str) -> None:
    with pytest.raises(Forbidden):
        check(url, ())


def test_hosts_that_the_operator_names_may_be_reached() -> None:
    assert check("http://lrs.agency.local:8080/x", {"lrs.agency.local"})
    assert check("http://10.0.0.7:8080/x", {"10.0.0.7:8080"})
    for url in ("http://10.0.0.7:8081/x", "http://10.0.0.8:8080/x", "ftp://10.0.0.7:8080/x"):
        with pytest.raises(Forbidden):
            check(url, {"10.0.0.7:8080"})


class Names(AbstractResolver):
    """Says that every name is at this address."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=one, port=port, family=family, proto=0, flags=0)
            for one in self._addresses
        ]

    async def close(self) -> None:
        pass


@pytest.mark.anyio
async def test_a_name_that_leads_inside_is_not_followed() -> None:
    for address in PRIVATE:
        with pytest.raises(OSError, match="public"):
            await Resolver((), Names(address)).resolve("rebind.example.org", 443)
    mixed = await Resolver((), Names("10.0.0.1", "8.8.8.8")).resolve("x.example.org", 443)
    assert [one["host"] for one in mixed] == ["8.8.8.8"]
    friend = await Resolver({"x.local:443"}, Names("10.0.0.1")).resolve("x.local", 443)
    assert [one["host"] for one in friend] == ["10.0.0.1"]


@pytest.mark.anyio
async def test_nothing_leaves_for_this_machine() -> None:
    receiver = Receiver()
    async with receiver.serve() as base:
        outside = Outside(())
        for url in (base, base.replace("http", "https"), "https://localhost:1/x"):
            answer = await outside.post(url, b"{}", {})
            assert isinstance(answer, Answer)
            assert answer.status == 0
            assert answer.why
        await outside.close()
    assert receiver.history == []


# --- the command line --------------------------------------------------------------------


def test_hooks_at_the_command_line(tmp_path: Path, content: Content, there: Received) -> None:
    url = ready(tmp_path)
    full(url, content)
    env = {"KAONA_DATABASE_URL": url, "KAONA_SECRET_KEY": "k" * 48, "KAONA_DPO_CONTACT": "dpo"}
    env |= {"KAONA_HOOK_HOSTS": "127.0.0.1"}

    def run(*args: str) -> Any:
        return kaona("hook", *args, folder=tmp_path, **env)

    made = run("add", "HR-hr", there.url, "--topic", "step_done")
    assert made.returncode == 0, made.stderr
    secret = made.stdout.splitlines()[-1]
    there.receiver.secret = secret
    tested, listed = run("test", "1"), run("list")
    assert tested.returncode == 0, tested.stderr
    assert [event["type"] for event in there.receiver.events] == ["test"]
    assert there.url in listed.stdout
    assert secret not in listed.stdout
    assert run("end", "1").returncode == 0
    for refused in (run("end", "7"), run("add", "HR-hr", there.url, "--kind", "other")):
        assert refused.returncode == 2
        assert refused.stderr.splitlines()[-1].startswith("kaona: ")
