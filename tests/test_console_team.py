"""A team's page: what the chat tells its manager, and nothing of any other."""

import re
from pathlib import Path

import pytest

from bot.console import pages
from bot.console.pages import PLAIN
from content.schema import Content
from storage import digests, sessions, teams
from storage.database import Database
from storage.scope import scope_of
from tests.offices import Office
from tests.running import edge
from tests.test_canaries import Nest

WORDS = pages.words("th")


def test_a_manager_comes_to_their_team_and_sees_what_the_chat_tells(
    db: Database, content: Content, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    nest = Nest(db, content)
    person, _ = nest.viewer("manager", nest.mine)
    with db.write() as conn:
        scope = scope_of(conn, person, nest.now)
        told = teams.shown(conn, scope)
        assert told["result"] == "figures"
        assert digests.unit(conn, scope, nest.foreign) is None
        token = sessions.begin(conn, person, "th", "a test", nest.now)
    db.close()
    with edge(url, nest.content) as service:
        monkeypatch.setattr(service.app, "clock", lambda: nest.now)
        service.client.cookies.set(PLAIN, token)
        home = service.client.get("/console/", follow_redirects=False)
        assert home.headers["location"] == "/console/team"
        html = service.client.get("/console/team").text
        shown = [int(each) for each in re.findall(r'<td class="number">(\d+)</td>', html)]
        assert shown == told["levels"]
        assert service.client.get(f"/console/team?unit={nest.below[0]}").status_code == 200
        for wrong in (nest.foreign, nest.root, 999, "x", "-1", "9" * 30):
            assert service.client.get(f"/console/team?unit={wrong}").status_code == 404, wrong


def test_who_leads_nobody_is_told_so(office: Office) -> None:
    office.enter("h1")
    assert WORDS["team_nothing"] in office.get("/console/team").text  # two people are too few
    office.enter("privacy")
    assert office.get("/console/team").status_code == 403
