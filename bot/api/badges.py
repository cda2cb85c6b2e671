"""Who issues our badges, for what, and the keys to check them with: open to everybody."""

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request

from bot.api.access import Anyone, service
from bot.api.problems import Problem, unknown
from bot.badges import Badges

router = APIRouter(prefix="/badges", tags=["certificates"], dependencies=[Anyone])
Json = dict[str, Any]


async def _say(request: Request, what: Callable[[Badges], Json]) -> Json:
    """In a thread: the first time a key is made."""
    badges = service(request).badges
    if not badges.ready:
        raise Problem(
            503, "Badges need a public address: ask the operator to set KAONA_PUBLIC_URL."
        )
    return await asyncio.to_thread(what, badges)


@router.get("/issuer")
async def get_issuer(request: Request) -> Json:
    """The issuer's profile (Open Badges 3.0)."""
    return await _say(request, Badges.issuer)


@router.get("/achievement")
async def get_achievement(request: Request) -> Json:
    """What the certificate is given for (Open Badges 3.0)."""
    return await _say(request, Badges.achievement)


@router.get("/keys")
async def list_keys(request: Request) -> Json:
    """The keys that badges are signed with, as a JSON Web Key Set."""
    return await _say(request, Badges.jwks)


@router.get("/keys/{thumbprint}")
async def get_key(request: Request, thumbprint: str) -> Json:
    """One key: the address that a badge's `kid` gives."""
    found = await _say(request, Badges.jwk)
    if not found["kid"].endswith("/" + thumbprint):
        raise unknown("key")
    return found
