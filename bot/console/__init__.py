"""The HR console at /console: server-rendered pages over the functions that commands use, too."""

from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Mount

if TYPE_CHECKING:
    from bot.app import App


def routes(app: "App") -> list[BaseRoute]:
    """Every page, below /console. Rooms are read here: commands need none of them."""
    from bot.console import (
        accounts,
        agency,
        annual,
        campaigns,
        codes,
        content,
        content_editor,
        content_sheet,
        entrance,
        journal,
        oidc,
        overview,
        people,
        programme,
        reports,
        roles,
        roster,
        segments,
        settings,
        setup,
        simulator,
        stuck,
        team,
        tokens,
        uses,
        wishes,
    )
    from bot.console.pages import Console

    console = Console(app)
    rooms = (
        entrance,
        oidc,
        overview,
        people,
        codes,
        roster,
        campaigns,
        segments,
        content_sheet,
        content_editor,
        content,
        simulator,
        team,
        reports,
        uses,
        programme,
        annual,
        wishes,
        stuck,
        accounts,
        roles,
        journal,
        tokens,
        agency,
        settings,
        setup,
    )
    pages = [console.route(page) for room in rooms for page in room.PAGES]
    return [Mount("/console", routes=pages)]
