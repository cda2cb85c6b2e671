"""The HR console at /console: server-rendered pages over the functions that commands use, too."""

from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Mount

if TYPE_CHECKING:
    from bot.app import App


def routes(app: "App") -> list[BaseRoute]:
    """Every page, below /console. They are read here: commands need none of them."""
    from bot.console.pages import Console
    from bot.console.rooms import PAGES

    console = Console(app)
    return [Mount("/console", routes=[console.route(page) for page in PAGES])]
