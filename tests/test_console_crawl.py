"""The whole console, link by link and form by form, as every role: nothing breaks, and what belongs
to another unit turns up nowhere."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot.console.pages import PLAIN
from content.schema import Content, Role
from storage import sessions
from storage.database import Database
from storage.models import units
from tests.crawling import Crawl, Form
from tests.offices import Office
from tests.running import Edge, edge
from tests.test_canaries import Nest, _without_paths

EVERYBODY = ("hr", "hr1", "approver", "privacy", "admin", "h1")
ROLES: tuple[Role, ...] = ("hr", "manager", "approver", "privacy", "editor", "admin")


def send(edge: Edge, form: Form) -> Any:
    """A form as it stands, with this browser's token."""
    data: dict[str, Any] = {}
    for name, value in form.values():
        data.setdefault(name, []).append(value)
    headers = {"sec-fetch-site": "same-origin"}
    return edge.client.post(form.action, data=data, headers=headers, follow_redirects=False)


@pytest.mark.parametrize("who", EVERYBODY)
def test_every_link_leads_somewhere_and_every_form_is_answered(office: Office, who: str) -> None:
    office.enter(who)
    crawl = Crawl(office.get)

    broken = {
        path: answer.status_code
        for path, answer in crawl.answers.items()
        if answer.status_code not in (200, 302, 303, 307)
    }
    assert broken == {}
    assert len(crawl.answers) > 3 or who == "h1"
    for form in crawl.posts():
        answer = send(office.edge, form)
        assert answer.status_code < 500, f"{form.action} of {form.found_on}"
        assert answer.status_code != 403, f"{form.action} is offered and denied"


def _sign_in(edge: Edge, person: int) -> None:
    call = edge.client.portal.call  # type: ignore[union-attr]
    run = edge.app.dispatcher.run
    token = call(run, lambda conn, now: sessions.begin(conn, person, "th", "a test", now))
    edge.client.cookies.clear()
    edge.client.cookies.set(PLAIN, token)


def _met(edge: Edge, person: int) -> str:
    """Everything that a signed-in officer gets: pages, and the answers to all forms."""
    _sign_in(edge, person)
    crawl = Crawl(lambda path: edge.client.get(path, follow_redirects=False))
    texts = [answer.text for answer in crawl.answers.values()]
    for form in crawl.posts():
        answer = send(edge, form)
        texts.append(answer.content.decode("utf-8", "replace"))
        if answer.status_code == 401:  # the form has ended the session
            _sign_in(edge, person)
    return "\n".join(texts)


def test_no_officer_meets_a_foreign_canary(
    db: Database, content: Content, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    nest = Nest(db, content)
    viewers = {role: nest.viewer(role, nest.mine)[0] for role in ROLES}
    whole = nest.viewer("hr", None)[0]
    with db.read() as conn:
        paths = dict(conn.execute(select(units.c.id, units.c.path)).all())
    names = {path: canary for canary, path in nest.canaries.items()}
    inside = {names[paths[unit]] for unit in (nest.mine, *nest.below)}
    db.close()
    with edge(url, content) as service:
        for role, person in viewers.items():
            text = _without_paths(_met(service, person), paths)
            met = {canary for canary in nest.canaries if canary in text}
            assert met <= inside, role
            assert met or role in ("editor", "admin"), f"{role} meets nothing at all"
        assert set(nest.canaries) <= {c for c in nest.canaries if c in _met(service, whole)}
