"""Secrets that must be read again, such as a webhook's key: encrypted with the service's own
secret before they go into the database, so that a copy of it opens nothing elsewhere."""

import base64
from hashlib import sha256
from hmac import digest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


class Sealed(Exception):
    """It was sealed with another secret."""


class Vault:
    """Seals and opens; each purpose has a key of its own, drawn from KAONA_SECRET_KEY."""

    def __init__(self, secret_key: str) -> None:
        self._secret = secret_key.encode()

    def key(self, purpose: str) -> bytes:
        """32 bytes that nobody can know without the secret."""
        return digest(self._secret, f"kaona {purpose}".encode(), sha256)

    def seal(self, plain: str) -> str:
        return self._fernet().encrypt(plain.encode()).decode()

    def open(self, sealed: str) -> str:
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet().decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise Sealed from error

    def _fernet(self) -> "Fernet":
        from cryptography.fernet import Fernet  # late: most processes never need it

        return Fernet(base64.urlsafe_b64encode(self.key("vault")))
