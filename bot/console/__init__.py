"""The HR console at /console: server-rendered pages over the functions that commands use, too."""

from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Mount

if TYPE_CHECKING:
    from bot.app import App


def routes(app: "App") -> list[BaseRoute]:
    """Every page, below /console."""
    from bot.console import (
        accounts,
        agency,
        annual,
        content,
        content_editor,
        content_sheet,
        entrance,
        overview,
        reports,
    )
    from bot.console.pages import Console

    console = Console(app)
    declared = [
        *entrance.PAGES,
        *overview.PAGES,
        *reports.PAGES,
        *annual.PAGES,
        *content_sheet.PAGES,
        *content_editor.PAGES,
        *content.PAGES,
        *accounts.PAGES,
        *agency.PAGES,
    ]
    return [Mount("/console", routes=[console.route(page) for page in declared])]
