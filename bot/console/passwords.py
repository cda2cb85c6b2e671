"""Passwords and second factors: how they are kept, checked, and refused when they are weak."""

import secrets
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST, LONGEST = 12, 128
"""Signs of a password, whatever they are."""
STRONG = 3
"""Of zxcvbn's scores from 0 to 4: safe against guessing a stolen hash, moderately."""
CONTEXT = ("kaona", "ocsc", "console")
"""Words that say nothing here."""
STEP = 30
"""Seconds of one code of the second factor."""
RECOVERIES = 8


@cache
def _hasher() -> "PasswordHasher":
    """Argon2id with 19 MiB, two passes, one lane: what OWASP asks for at least."""
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hashed(password: str) -> str:
    return _hasher().hash(password)


@cache
def _nobodys() -> str:
    return hashed(secrets.token_urlsafe(16))


def matches(kept: str, password: str) -> bool:
    """Whether it is the password; without a kept one it takes as long and is none."""
    from argon2.exceptions import VerificationError

    try:
        return _hasher().verify(kept or _nobodys(), password) and bool(kept)
    except VerificationError:
        return False


def is_old(kept: str) -> bool:
    """It was hashed under weaker settings than ours are now."""
    return _hasher().check_needs_rehash(kept)


def fault(password: str, *known: str) -> str:
    """What is wrong with a new password: short, long, weak; empty if nothing is. `known` is what
    anybody knows of its owner."""
    if len(password) < SHORTEST:
        return "short"
    if len(password) > LONGEST:
        return "long"
    from zxcvbn import zxcvbn

    words = [*CONTEXT, *known, *(part for each in known for part in each.split())]
    # its time grows with the cube of the length, and 72 signs tell enough
    score = zxcvbn(password[:72], user_inputs=words)["score"]
    return "" if score >= STRONG else "weak"


# --- the second factor -------------------------------------------------------------------


def new_secret() -> str:
    import pyotp

    return pyotp.random_base32()


def address(secret: str, login: str) -> str:
    """What the QR code holds that an authenticator app reads."""
    import pyotp

    made: str = pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name="Kaona")
    return made


def step_of(secret: str, code: str, now: float) -> int:
    """Which half minute a code is of: this one, the one before or the next; 0 if of none."""
    import pyotp

    totp, present = pyotp.TOTP(secret), int(now) // STEP
    digits = "".join(code.split())
    for step in (present, present - 1, present + 1):
        if secrets.compare_digest(totp.at(step * STEP).encode(), digits.encode()):
            return step
    return 0


def new_recoveries() -> list[str]:
    """Codes of 50 bits, to be written down."""
    signs = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
    return [
        "-".join("".join(secrets.choice(signs) for _ in range(5)) for _ in range(2))
        for _ in range(RECOVERIES)
    ]
