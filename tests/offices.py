"""The console without a browser: a running service with an agency, and whoever is signed in."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pyotp
import pytest
from msgspec import Struct

from bot.console.pages import PLAIN
from content.schema import Content, Lang
from storage import accounts, sessions
from storage.scope import OPERATOR
from tests.agency import Agency, full
from tests.running import Edge, edge, ready

T = TypeVar("T")
PASSWORD = "ช้างเผือก กินกล้วย สีม่วง 7 ต้น"


class Office(Struct):
    """A running service with an agency, and a browser."""

    edge: Edge
    agency: Agency

    def get(self, path: str, **more: Any) -> Any:
        return self.edge.client.get(path, follow_redirects=False, **more)

    def post(
        self,
        path: str,
        headers: dict[str, str] | None = None,
        files: Any = None,
        **fields: str | list[str],
    ) -> Any:
        sent = {"sec-fetch-site": "same-origin", **(headers or {})}
        data = {"of": "a form", **fields}
        return self.edge.client.post(
            path, data=data, files=files, headers=sent, follow_redirects=False
        )

    def send(self, path: str, files: Any = None, **fields: str | list[str]) -> Any:
        """A form of whoever is signed in."""
        return self.post(path, files=files, csrf=self.csrf(), **fields)

    def run(self, job: Callable[..., T]) -> T:
        """A transaction of the service; the job gets the connection and the present time."""
        call = self.edge.client.portal.call  # type: ignore[union-attr]
        made: T = call(self.edge.app.dispatcher.run, job)
        return made

    def enter(self, who: str, lang: Lang = "th") -> None:
        """Sign in without the ceremony, in place of whoever was."""
        self.leave()
        person = self.agency.persons[who]
        token = self.run(lambda conn, now: sessions.begin(conn, person, lang, "a test", now))
        self.edge.client.cookies.set(PLAIN, token)

    def invite(self, who: str) -> str:
        token = self.run(lambda conn, now: accounts.invite(conn, OPERATOR, f"HR-{who}", now))
        return f"/console/invitation/{token}"

    def join(self, who: str) -> tuple[str, list[str]]:
        """Set a password by an invitation; the second factor's secret and the recovery codes."""
        path = self.invite(who)
        html = self.get(path).text
        secret = re.sub(r"\s", "", re.search(r"<code>([A-Z2-7 ]+)</code>", html)[1])  # type: ignore[index]
        answer = self.post(path, **self.chosen(html, secret, who))
        assert answer.status_code == 200, answer.text
        return secret, re.findall(r"<code>([0-9A-Z]{5}-[0-9A-Z]{5})</code>", answer.text)

    def chosen(self, html: str, secret: str, who: str) -> dict[str, str]:
        sealed = re.search(r'name="sealed" value="([^"]+)"', html)[1]  # type: ignore[index]
        typed = {"login": who * 2, "password": PASSWORD, "again": PASSWORD}
        return typed | {"sealed": sealed, "code": self.code(secret)}

    def code(self, secret: str) -> str:
        return pyotp.TOTP(secret).at(self.edge.app.clock())

    def csrf(self, path: str = "/console/own") -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.get(path).text)
        assert found
        return found[1]

    def leave(self) -> None:
        self.edge.client.cookies.clear()

    def prove(self, secret: str) -> Any:
        fields = {"password": PASSWORD, "code": self.code(secret), "csrf": self.csrf()}
        return self.post("/console/prove", **fields)


@pytest.fixture
def office(tmp_path: Path, content: Content, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.chdir(tmp_path)
    url = ready(tmp_path)
    agency, _ = full(url, content)
    with edge(url, content) as made:
        yield Office(made, agency)


@pytest.fixture
def either(
    url: str, tmp_path: Path, content: Content, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    """The same on each engine."""
    monkeypatch.chdir(tmp_path)
    agency, _ = full(url, content)
    with edge(url, content) as made:
        yield Office(made, agency)


def forward(office: Office, monkeypatch: pytest.MonkeyPatch, **by: float) -> None:
    """Let time pass for the service."""
    app, then = office.edge.app, office.edge.app.clock() + timedelta(**by)
    monkeypatch.setattr(app, "clock", lambda: then)
    monkeypatch.setattr(app.dispatcher, "_clock", lambda: then)
