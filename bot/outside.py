"""Requests to addresses that people gave us: only to the public internet, or to hosts that the
operator has named. A webhook must be no way to reach the machines beside this one."""

import base64
import ipaddress
import re
import socket
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from msgspec import Struct

TIMEOUT = aiohttp.ClientTimeout(total=10)
LONGEST = 1000
ANSWER = 64 * 1024
"""Bytes of an answer that are read; nobody needs more to say yes or no."""
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Forbidden(Exception):
    """An address that nothing is sent to; the message says why, `key` the same in a word."""

    def __init__(self, key: str, said: str) -> None:
        super().__init__(said)
        self.key = key


class Answer(Struct, frozen=True):
    """How a request ended: `status` 0 is no answer, with the reason in `why`; `wait` is what
    Retry-After asked for, in seconds."""

    status: int
    why: str = ""
    wait: float = 0.0

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300


def check(url: str, friends: Collection[str]) -> str:
    """The address itself, if something may ever be sent there. `friends` are hosts (or host:port)
    that need be neither https nor public."""
    if len(url) > LONGEST or re.search(r"[\s\x00-\x20\\]", url):
        raise Forbidden("address", "this is not a web address")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Forbidden("address", "this is not a web address") from None
    if not host or parts.scheme not in ("https", "http"):
        raise Forbidden("https", "the address must begin with https://")
    if parts.username or parts.password or parts.fragment:
        raise Forbidden("user", "the address must hold no user name, password or fragment")
    if is_friend(host, port, friends):
        return url
    if parts.scheme != "https":
        raise Forbidden("https", "the address must begin with https://")
    literal = _address(host)
    if literal is not None and not is_public(literal):
        raise Forbidden("public", "the address is not on the public internet: see KAONA_HOOK_HOSTS")
    return url


def is_friend(host: str, port: int | None, friends: Collection[str]) -> bool:
    return host in friends or (port is not None and f"{host}:{port}" in friends)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is; the old ways of writing IPv4 (127.1, 0x7f000001) count, too."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    if not re.fullmatch(r"[0-9a-fx.]+", host) or not host[0].isdigit():
        return None
    try:
        return ipaddress.ip_address(socket.inet_aton(host))
    except OSError:
        return None


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is on the public internet, and not another one in disguise."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or [None])[0]
        if inner is not None:
            return is_public(inner)
        if address in NAT64:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


class Resolver(AbstractResolver):
    """Finds addresses, and keeps back those that are not public. It is these very addresses that
    are connected to, so a name cannot mean one thing when it is checked and another later."""

    def __init__(self, friends: Collection[str], inner: AbstractResolver | None = None) -> None:
        self._friends = friends
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if is_friend(host, port, self._friends):
            return found
        public = [one for one in found if is_public(ipaddress.ip_address(one["host"]))]
        if not public:
            raise OSError(None, "no public address")
        return public

    async def close(self) -> None:
        await self._inner.close()


class Outside:
    """Posts JSON; follows no redirect, keeps no cookie, waits ten seconds."""

    def __init__(self, friends: Collection[str]) -> None:
        self._friends = friends
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        try:
            check(url, self._friends)
            return await self._post(url, body, headers)
        except Forbidden as error:
            return Answer(0, str(error))
        except TimeoutError:
            return Answer(0, "no answer within 10 seconds")
        except (aiohttp.ClientError, OSError) as error:
            # the type only: the text may hold what was sent
            return Answer(0, f"no connection ({type(error).__name__})")

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        if self._session is None:
            self._session = _session(self._friends)
        known = {"Content-Type": "application/json", "User-Agent": "Kaona"} | headers
        async with self._session.post(
            url, data=body, headers=known, allow_redirects=False, timeout=TIMEOUT
        ) as answer:
            await answer.content.read(ANSWER)
            return Answer(answer.status, wait=_wait(answer.headers))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _session(friends: Collection[str]) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(resolver=Resolver(friends), limit=20, ttl_dns_cache=60)
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    )


def _wait(headers: Any) -> float:
    given = headers.get("Retry-After", "")
    return float(given) if re.fullmatch(r"[0-9]{1,6}", given) else 0.0


def basic(user_and_password: str) -> dict[str, str]:
    """The header of HTTP basic authentication."""
    return {"Authorization": "Basic " + base64.b64encode(user_and_password.encode()).decode()}
