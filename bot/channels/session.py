"""One kind of HTTP session for both platforms, and what its failures mean for a send."""

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from aiohttp import (
    ClientConnectorError,
    ClientHttpProxyError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    InvalidURL,
    TCPConnector,
)

from bot.outcomes import Lost, Refused

TIMEOUT = ClientTimeout(total=8, connect=3)
"""`connect` counts the wait for a free socket too, so `total` can only run out after the
request has begun to leave: that is what tells "not sent" from "unknown"."""
CONNECTIONS = 100
IDLE = 10.0
"""Well below what servers allow: a request on a connection just closed has an unknown fate."""

_NOT_SENT = (ClientConnectorError, ClientHttpProxyError, ConnectionTimeoutError, InvalidURL)


def open_session(base: str, connections: int = CONNECTIONS) -> ClientSession:
    """A session for the host of `base`; the proxy is looked up once, not for every request."""
    host = urlsplit(base).hostname or ""
    proxy = None if proxy_bypass(host) else getproxies().get(urlsplit(base).scheme)
    return ClientSession(
        connector=TCPConnector(limit=connections, keepalive_timeout=IDLE),
        cookie_jar=DummyCookieJar(),
        timeout=TIMEOUT,
        proxy=proxy,
    )


def unanswered(error: Exception) -> Refused | Lost:
    """What an exception of the session says. Its text is left out: it may hold a token."""
    name = type(error).__name__
    return Refused(name) if isinstance(error, _NOT_SENT) else Lost(name)
