"""Certificates as Open Badges 3.0: credentials that anybody can check against our public key."""

import base64
import os
import threading
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from hmac import digest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from bot.channels import webchat
from content.schema import LANGS
from storage import pages
from storage.database import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from bot.app import App

Json = dict[str, Any]
CONTEXT = [
    "https://www.w3.org/ns/credentials/v2",
    "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json",
]
SCHEMA = (
    "https://purl.imsglobal.org/spec/ob/v3p0/schema/json/ob_v3p0_achievementcredential_schema.json"
)
NAMESPACE = "https://purl.imsglobal.org/ob/v3p0"
ALGORITHM = "RS256"
BITS = 2048
HERE = "/api/v1/badges"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:openbadges="{namespace}" viewBox="0 0 200 200">'
    '<openbadges:credential verify="{token}"/><title>{title}</title>'
    '<circle cx="100" cy="100" r="96" fill="#1B3A6B"/>'
    '<circle cx="100" cy="100" r="84" fill="none" stroke="#D9A441" stroke-width="4"/>'
    '<path d="M52 136h30v-28h30v-28h36" fill="none" stroke="#D9A441" stroke-width="13" '
    'stroke-linecap="round" stroke-linejoin="round"/>'
    '<circle cx="128" cy="50" r="10" fill="#fff"/></svg>'
)
_making = threading.Lock()


class Badges:
    """Issues badges in the name of the service at its public address."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self._base = app.settings.public_url
        self._path = Path(app.settings.badge_key or app.var / "badge_key.pem")

    @property
    def ready(self) -> bool:
        """Badges name the address at which they can be checked, so there must be one."""
        return bool(self._base)

    # --- keys ----------------------------------------------------------------------------

    @cached_property
    def key(self) -> "RSAPrivateKey":
        """Ours for life: without it nobody can check what was issued before."""
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        with _making:
            if not self._path.exists() and not self._app.settings.badge_key:
                self._make()
        try:
            found = load_pem_private_key(self._path.read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(f"KAONA_BADGE_KEY: cannot read the key in {self._path}") from error
        if not isinstance(found, RSAPrivateKey) or found.key_size < BITS:
            raise ConfigError(f"KAONA_BADGE_KEY: {self._path} is no RSA key of {BITS} bits or more")
        return found

    def _make(self) -> None:
        """All of it in one step, so that nobody reads half a key; for our eyes only."""
        from cryptography.hazmat.primitives.asymmetric import rsa
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        made = rsa.generate_private_key(65537, BITS)
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_bytes(pem)
        try:
            os.link(draft, self._path)  # another process may have been first: then theirs counts
        except FileExistsError:
            pass
        finally:
            draft.unlink()

    @cached_property
    def thumbprint(self) -> str:
        """A name for the key that follows from it (RFC 7638)."""
        bare = self._numbers
        text = f'{{"e":"{bare["e"]}","kty":"RSA","n":"{bare["n"]}"}}'
        return _base64url(sha256(text.encode()).digest())

    @property
    def _numbers(self) -> Json:
        public = self.key.public_key().public_numbers()
        return {"kty": "RSA", "n": _number(public.n), "e": _number(public.e)}

    def jwk(self) -> Json:
        kid = f"{self._base}{HERE}/keys/{self.thumbprint}"
        return self._numbers | {"kid": kid, "alg": ALGORITHM, "use": "sig"}

    def jwks(self) -> Json:
        return {"keys": [self.jwk()]}

    # --- what is said --------------------------------------------------------------------

    def issuer(self) -> Json:
        name = webchat.words("th")["name"]
        return {
            "id": f"{self._base}{HERE}/issuer",
            "type": ["Profile"],
            "name": name,
            "url": self._base,
        }

    def achievement(self) -> Json:
        id = f"{self._base}{HERE}/achievement"
        return {
            "id": id,
            "type": ["Achievement"],
            "achievementType": "CertificateOfCompletion",
            "creator": self.issuer(),
            "name": _both("badge_name", " · "),
            "description": _both("badge_about"),
            "criteria": {"narrative": _both("badge_criteria")},
            "resultDescription": [
                {
                    "id": f"{id}#result",
                    "type": ["ResultDescription"],
                    "name": _both("badge_result", " · "),
                    "resultType": "Status",
                }
            ],
        }

    def credential(self, row: Any, uses: int, confirmed: int) -> Json:
        """The certificate as a credential, not signed yet. Its owner is a salted hash of the name
        that is printed: whoever knows the name can check it, nobody can read it."""
        achievement = self.achievement()
        result = {"type": ["Result"], "status": "Completed"}
        result["resultDescription"] = achievement["resultDescription"][0]["id"]
        narrative = _both("badge_evidence_text").format(uses=uses, confirmed=confirmed)
        evidence = {"type": ["Evidence"], "name": _both("badge_evidence", " · ")}
        return {
            "@context": CONTEXT,
            "id": f"{self._base}/verify/{pages.shown(row.code)}",
            "type": ["VerifiableCredential", "OpenBadgeCredential"],
            "name": achievement["name"],
            "issuer": self.issuer(),
            "validFrom": row.issued_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "credentialSubject": {
                "type": ["AchievementSubject"],
                "identifier": [self._identity(row)],
                "achievement": achievement,
                "result": [result],
            },
            "evidence": [evidence | {"narrative": narrative}],
            "credentialSchema": [{"id": SCHEMA, "type": "1EdTechJsonSchemaValidator2019"}],
        }

    def _identity(self, row: Any) -> Json:
        key = self._app.vault.key("badges")
        salt = digest(key, row.code.encode(), sha256).hex()[:32]
        return {
            "type": "IdentityObject",
            "hashed": True,
            "identityHash": "sha256$" + sha256((row.name + salt).encode()).hexdigest(),
            "identityType": "name",
            "salt": salt,
        }

    def read(self, conn: Connection, code: str) -> Json | None:
        """The credential of a certificate; None when there is none."""
        row = pages.certificate(conn, code)
        if row is None or not self.ready:
            return None
        return self.credential(row, *pages.uses(conn, row.learner_id, row.round))

    def sign(self, credential: Json) -> str:
        """As a signed JWT: the credential itself is the payload, with the claims that JWTs have."""
        import jwt

        from_ = credential["validFrom"]
        claims = {"iss": credential["issuer"]["id"], "jti": credential["id"], "nbf": _epoch(from_)}
        headers = {"kid": self.jwk()["kid"], "typ": "JWT"}
        return jwt.encode(credential | claims, self.key, ALGORITHM, headers)

    def bake(self, credential: Json) -> str:
        """A picture that carries the signed credential inside."""
        token, title = self.sign(credential), webchat.words("th")["badge_name"]
        return SVG.format(namespace=NAMESPACE, token=token, title=title)


def _both(key: str, between: str = "\n\n") -> str:
    return between.join(webchat.words(lang)[key] for lang in LANGS)


def _epoch(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp())


def _number(value: int) -> str:
    return _base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
