"""The agency's own sign-on: OpenID Connect, the code flow with PKCE. Nothing is believed but an ID
token that the provider has signed for us, for this very sign-in, a moment ago."""

import asyncio
import base64
import secrets
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import jwt
import msgspec
from aiohttp import ClientError, ClientTimeout
from msgspec import Struct

from bot.channels.session import open_session
from bot.config import Settings
from bot.outside import basic

TIMEOUT = ClientTimeout(total=10)
LARGEST = 256 * 1024
"""Bytes of an answer of the provider's."""
KEPT = 3600.0
"""Seconds that its addresses and keys are kept."""
PAUSE = 30.0
"""Seconds between two looks for a key that is not there."""
LEEWAY = 60
"""Seconds that two clocks may differ."""
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""Signatures by a key of the provider's; none that we could make ourselves."""
WELL_KNOWN = "/.well-known/openid-configuration"
PARTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class Untrue(Exception):
    """What came back is not a sign-in of ours; the message is for the log."""


class Silent(Exception):
    """The provider does not answer, or not as it should; the message is for the log."""


class Flow(Struct, frozen=True):
    """A sign-in that has begun. It goes along in the browser's own sealed cookie."""

    state: str
    nonce: str
    verifier: str
    purpose: str
    """enter, prove, or bind."""
    onward: str
    """Where to go on; of `bind` the invitation's token."""
    began: int
    session: int = 0


class Claims(Struct, frozen=True):
    """Who somebody is at the provider, and when they signed in there."""

    issuer: str
    subject: str
    email: str = ""
    """Only one that the provider has verified."""
    signed_in: int = 0


class Provider:
    """The agency's OpenID provider, as the settings name it."""

    def __init__(self, settings: Settings) -> None:
        self.issuer = settings.oidc_issuer
        self._client, self._secret = settings.oidc_client_id, settings.oidc_client_secret
        self._known: dict[str, Any] = {}
        self._keys: list[dict[str, Any]] = []
        self._read_at, self._looked_at = -KEPT, -PAUSE
        self._lock = asyncio.Lock()

    def begin(self, purpose: str, onward: str, now: datetime, session: int = 0) -> Flow:
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return Flow(state, nonce, verifier, purpose, onward, int(now.timestamp()), session)

    async def address(self, flow: Flow, back: str) -> str:
        """Where the browser is sent. To prove who one is, one signs in there anew."""
        known = await self._discover()
        challenge = base64.urlsafe_b64encode(sha256(flow.verifier.encode()).digest()).rstrip(b"=")
        scopes = known.get("scopes_supported") or ()
        asked = {
            "response_type": "code",
            "client_id": self._client,
            "redirect_uri": back,
            "scope": "openid email" if "email" in scopes else "openid",
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        if flow.purpose == "prove":
            asked |= {"prompt": "login", "max_age": "0"}
        where: str = known["authorization_endpoint"]
        return where + ("&" if urlsplit(where).query else "?") + urlencode(asked)

    async def finish(
        self, flow: Flow, given: Mapping[str, str], back: str, now: datetime
    ) -> Claims:
        """Who came back, by the parameters of the address that they came back to."""
        if not compare_digest(flow.state.encode(), given.get("state", "").encode()):
            raise Untrue("state")
        if given.get("iss", self.issuer) != self.issuer:
            raise Untrue("iss")
        if "error" in given or not given.get("code"):
            raise Untrue("refused by the provider")
        token = await self._exchange(given["code"], flow.verifier, back)
        claims = await self._verify(token)
        if not compare_digest(str(claims.get("nonce", "")).encode(), flow.nonce.encode()):
            raise Untrue("nonce")
        return _claims(claims, flow, now)

    # --- what the provider says ----------------------------------------------------------

    async def _discover(self) -> dict[str, Any]:
        async with self._lock:
            if time.monotonic() - self._read_at < KEPT:
                return self._known
            found = await self._ask("GET", self.issuer.rstrip("/") + WELL_KNOWN)
            if found.get("issuer") != self.issuer:
                raise Silent("it calls itself by another name than KAONA_OIDC_ISSUER")
            if not all(self._is_safe(found.get(part)) for part in PARTS):
                raise Silent("an address of it is missing, or not https")
            self._known, self._read_at = found, time.monotonic()
            return found

    def _is_safe(self, url: object) -> bool:
        """https, or on this very machine, as the issuer itself."""
        if not isinstance(url, str):
            return False
        at, home = urlsplit(url), urlsplit(self.issuer)
        return at.scheme == "https" or (at.scheme, at.netloc) == (home.scheme, home.netloc)

    async def _exchange(self, code: str, verifier: str, back: str) -> str:
        """The ID token for a code; the provider takes each code once."""
        known = await self._discover()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": back,
                "code_verifier": verifier}  # fmt: skip
        ways = known.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        sign = dict[str, str]()
        if "client_secret_basic" in ways:
            sign = basic(f"{quote(self._client, safe='')}:{quote(self._secret, safe='')}")
        else:
            form |= {"client_id": self._client, "client_secret": self._secret}
        answer = await self._ask("POST", known["token_endpoint"], sign, form)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise Untrue("no ID token")
        return token

    async def _verify(self, token: str) -> dict[str, Any]:
        """The claims of a token that the provider has signed for us, and that is not over."""
        try:
            head = jwt.get_unverified_header(token)
            if head.get("alg") not in ALGORITHMS:
                raise Untrue("algorithm")
            key = await self._key(head)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[head["alg"]],
                audience=self._client,
                issuer=self.issuer,
                leeway=LEEWAY,
                options={"require": ["iss", "sub", "aud", "exp", "iat"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Untrue(type(error).__name__) from None
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or "azp" in claims) and claims.get("azp") != self._client:
            raise Untrue("azp")
        return claims

    async def _key(self, head: dict[str, Any]) -> jwt.PyJWK:
        """The key that a token names. One that we do not know may be new."""
        found = self._find(head)
        if found is None and time.monotonic() - self._looked_at >= PAUSE:
            self._looked_at = time.monotonic()
            known = await self._discover()
            answer = await self._ask("GET", known["jwks_uri"])
            keys = answer.get("keys")
            self._keys = [each for each in keys if isinstance(each, dict)] if keys else []
            found = self._find(head)
        if found is None:
            raise Untrue("no such key")
        return jwt.PyJWK(found, algorithm=head["alg"])

    def _find(self, head: dict[str, Any]) -> dict[str, Any] | None:
        fit = [
            key
            for key in self._keys
            if key.get("use", "sig") == "sig"
            and key.get("kty") != "oct"
            and key.get("alg", head["alg"]) == head["alg"]
            and ("kid" not in head or key.get("kid") == head["kid"])
        ]
        return fit[0] if len(fit) == 1 else None

    async def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """One request; follows no redirect."""
        try:
            async with (
                open_session(url) as session,
                session.request(
                    method, url, timeout=TIMEOUT, allow_redirects=False,
                    headers={"Accept": "application/json", **(headers or {})}, data=form,
                ) as answer,
            ):  # fmt: skip
                body = await answer.content.read(LARGEST)
                while len(body) < LARGEST and (part := await answer.content.read(LARGEST)):
                    body += part
                status = answer.status
        except (ClientError, OSError, TimeoutError, ValueError) as error:
            raise Silent(type(error).__name__) from None
        if method == "POST" and 400 <= status < 500:
            raise Untrue("the provider refuses the code")
        try:
            value = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            value = None
        if status != 200 or not isinstance(value, dict):
            raise Silent(f"it answers {status}")
        return value


def _claims(claims: dict[str, Any], flow: Flow, now: datetime) -> Claims:
    """What we need of them. Who proves anew has signed in since they were sent there."""
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise Untrue("subject")
    at = claims.get("auth_time", 0)
    signed_in = int(at) if isinstance(at, int | float) else 0
    if flow.purpose == "prove" and signed_in < flow.began - LEEWAY:
        raise Untrue("auth_time")
    if signed_in > (now + timedelta(seconds=LEEWAY)).timestamp():
        raise Untrue("auth_time")
    email = claims.get("email") if claims.get("email_verified") is True else ""
    known = email.strip().casefold()[:254] if isinstance(email, str) else ""
    return Claims(claims["iss"], subject, known, signed_in)
