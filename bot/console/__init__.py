"""The HR console at /console: server-rendered pages over the functions that commands use, too."""

from importlib import import_module
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Mount

if TYPE_CHECKING:
    from bot.app import App

ROOMS = (
    "entrance",
    "overview",
    "people",
    "codes",
    "roster",
    "campaigns",
    "segments",
    "reports",
    "annual",
    "accounts",
)
"""Modules of pages. They are read when the application is made: commands need none of them."""


def routes(app: "App") -> list[BaseRoute]:
    """Every page, below /console."""
    from bot.console.pages import Console

    console = Console(app)
    pages = [page for room in ROOMS for page in import_module(f"bot.console.{room}").PAGES]
    return [Mount("/console", routes=[console.route(page) for page in pages])]
