"""The API put together."""

from typing import TYPE_CHECKING

import cryptography.fernet  # noqa: F401 (here, in a thread, rather than at the first secret)
from fastapi import FastAPI

from bot.api import badges, hooks, people, reports
from bot.api.access import Limits
from bot.api.problems import DOCUMENTED, ProblemBody, install

if TYPE_CHECKING:
    from bot.app import App

MODULES = (people, reports, hooks, badges)
ABOUT = (
    "Reports, progress and learning records for other systems. A token stands for a person and may "
    "do what that person may at this moment. What is outside of that is not found. Errors are "
    "application/problem+json (RFC 9457). Fields and parameters that are not known are refused."
)


def build(app: "App") -> FastAPI:
    """The API of this service. It has no page to try it out: that would load foreign scripts."""
    api = FastAPI(
        title="Kaona",
        version="1",
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        responses=DOCUMENTED | {422: DOCUMENTED[422] | {"model": ProblemBody}},
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    api.state.service = app
    api.state.limits = Limits()
    install(api)
    for module in MODULES:
        api.include_router(module.router)
    return api
