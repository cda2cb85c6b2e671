"""Signing in at the agency's own provider: against a real one, and against forgeries."""

import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec import Struct
from pydantic import ValidationError
from sqlalchemy import select, update

from bot.config import Settings
from bot.console import pages
from bot.console.oidc import COOKIE
from content.schema import Content
from storage import accounts
from storage.models import accounts as accounts_table
from storage.models import audit, sessions
from storage.scope import OPERATOR
from tests import provider
from tests.agency import full
from tests.offices import Office
from tests.running import ROOT, edge, eventually, free_port, ready

BACK = "https://kaona.example.go.th/console/oidc/back"


class Provider(Struct):
    """The provider that runs, and its key: who holds that can sign whatever they like."""

    issuer: str
    key: rsa.RSAPrivateKey

    def answer(self, who: str, address: str) -> str:
        """Sign in there in a fresh browser; the way back to the console."""
        with httpx2.Client(timeout=20) as browser:
            asked = browser.get(address)
            assert asked.status_code == 302, asked.text
            page = f"http://{urlsplit(self.issuer).netloc}{asked.headers['location']}"
            signed = browser.post(page, data={"name": who, "password": who})
            onward = f"http://{urlsplit(self.issuer).netloc}{signed.headers['location']}"
            done = browser.get(onward)
        assert done.headers["location"].startswith(BACK), done.text
        return str(done.headers["location"].removeprefix("https://kaona.example.go.th"))


@pytest.fixture(scope="module")
def sso(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    folder, port = tmp_path_factory.mktemp("provider"), free_port()
    key = rsa.generate_private_key(65537, 2048)
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, plain)
    (folder / provider.KEY).write_bytes(pem)
    line = [sys.executable, "-m", "tests.provider", str(port), str(folder), BACK]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(line, cwd=ROOT, stdout=log, stderr=log)
    made = Provider(f"http://127.0.0.1:{port}/o", key)

    def answers() -> bool:
        assert process.poll() is None, (folder / "log").read_text()[-2000:]
        try:
            return httpx2.get(made.issuer + "/.well-known/openid-configuration").is_success
        except httpx2.TransportError:
            return False

    eventually(answers, 60)
    yield made
    process.terminate()
    process.wait(20)


def settings(issuer: str) -> dict[str, str]:
    return {
        "KAONA_OIDC_ISSUER": issuer,
        "KAONA_OIDC_CLIENT_ID": provider.CLIENT,
        "KAONA_OIDC_CLIENT_SECRET": provider.SECRET,
    }


@pytest.fixture
def desk(
    sso: Provider, tmp_path: Path, content: Content, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    """An office of an agency with a sign-on of its own."""
    monkeypatch.chdir(tmp_path)
    url = ready(tmp_path)
    agency, _ = full(url, content)
    with edge(url, content, **settings(sso.issuer)) as made:
        yield Office(made, agency)


def begin(desk: Office, path: str = "/console/oidc/start") -> str:
    answer = desk.get(path)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def sign_in(desk: Office, sso: Provider, who: str, path: str = "/console/oidc/start") -> Any:
    return desk.get(sso.answer(who, begin(desk, path)))


def bound(desk: Office, sso: Provider, whom: str = "hr1", who: str = "somchai") -> None:
    """Invited, and in by the sign-on."""
    answer = sign_in(desk, sso, who, desk.invite(whom) + "/oidc")
    assert answer.headers["location"] == "/console", answer.text


def changed(address: str, **by: str) -> str:
    asked = {key: value[0] for key, value in parse_qs(urlsplit(address).query).items()}
    return address.partition("?")[0] + "?" + urlencode(asked | by)


def refusals(desk: Office) -> list[str]:
    noted = desk.edge.rows(select(audit).where(audit.c.result == "refused"))
    return [row.data for row in noted if row.target == "oidc"]


# --- the way in --------------------------------------------------------------------------


def test_an_invitation_binds_an_account_and_the_sign_on_opens_it(
    desk: Office, sso: Provider
) -> None:
    invited = desk.invite("hr1")
    assert "/oidc" in desk.get(invited).text
    bound(desk, sso)

    assert desk.get("/console/reports").status_code == 200
    (row,) = desk.edge.rows(select(accounts_table))
    assert (row.oidc_issuer, row.oidc_subject) == (sso.issuer, "1")
    assert (row.password, row.totp) == ("", "")
    desk.leave()
    again = sign_in(desk, sso, "somchai", "/console/oidc/start?next=/console/reports/funnel")
    assert again.headers["location"] == "/console/reports/funnel"
    assert desk.get("/console/reports/funnel").status_code == 200


def test_no_password_opens_an_account_that_has_none(desk: Office, sso: Provider) -> None:
    bound(desk, sso)
    desk.leave()
    (row,) = desk.edge.rows(select(accounts_table))
    for login in (row.login, row.login.strip()):
        tried = desk.post("/console/sign-in", login=login, password="", code="")
        assert tried.status_code == 401


def test_nobody_gets_an_account_only_because_the_sign_on_knows_them(
    desk: Office, sso: Provider
) -> None:
    answer = sign_in(desk, sso, "malee")

    assert answer.status_code == 403
    assert pages.words("th")["problem_oidc_unbound"] in answer.text
    assert desk.edge.rows(select(accounts_table)) == []
    assert desk.edge.rows(select(sessions)) == []
    assert len(refusals(desk)) == 1


def test_an_invitation_is_used_once_and_binds_nobody_else(desk: Office, sso: Provider) -> None:
    path = desk.invite("hr1") + "/oidc"
    address = begin(desk, path)
    assert desk.get(sso.answer("somchai", address)).status_code == 303
    assert desk.get(path).status_code == 404
    twice = sign_in(desk, sso, "somchai", desk.invite("hr2") + "/oidc")
    assert twice.status_code == 403
    assert pages.words("th")["problem_oidc_taken"] in twice.text
    other = sign_in(desk, sso, "malee", desk.invite("hr1") + "/oidc")
    assert pages.words("th")["problem_oidc_bound"] in other.text


def test_an_address_that_an_admin_entered_binds_once(desk: Office, sso: Provider) -> None:
    def expect(whom: str, email: str) -> None:
        person = desk.agency.persons[whom]
        desk.run(lambda conn, now: accounts.expect(conn, OPERATOR, person, email, now))

    expect("hr1", "unsure@agency.go.th")
    assert sign_in(desk, sso, "unsure").status_code == 403, "the provider has not verified it"
    expect("hr1", "malee@agency.go.th")
    assert sign_in(desk, sso, "malee").status_code == 303
    (row,) = desk.edge.rows(select(accounts_table))
    assert (row.oidc_subject, row.oidc_email) == ("2", "")
    assert sign_in(desk, sso, "somchai").status_code == 403


def test_an_account_that_was_closed_is_bound_to_nobody(desk: Office, sso: Provider) -> None:
    bound(desk, sso)
    desk.run(lambda conn, now: accounts.end(conn, OPERATOR, "HR-hr1", now))
    assert desk.get("/console/").status_code == 303
    assert sign_in(desk, sso, "somchai").status_code == 403


# --- proof -------------------------------------------------------------------------------


def rest(desk: Office) -> None:
    """So long that proof is wanted again; the provider's clock is the machine's."""
    earlier = desk.edge.app.clock() - timedelta(minutes=10)
    desk.run(lambda conn, now: conn.execute(update(sessions).values(proved_at=earlier)) and None)


def test_a_fresh_sign_in_is_proof(desk: Office, sso: Provider) -> None:
    bound(desk, sso, "admin")
    rest(desk)
    asked = desk.get("/console/roles/give")
    assert asked.headers["location"].startswith("/console/prove")
    page = desk.get(asked.headers["location"])
    assert "/console/oidc/prove" in page.text
    assert 'id="password"' not in page.text
    address = begin(desk, "/console/oidc/prove?next=/console/roles/give")
    assert parse_qs(urlsplit(address).query)["prompt"] == ["login"]
    before = desk.edge.client.cookies[pages.PLAIN]
    proved = desk.get(sso.answer("somchai", address))
    assert proved.headers["location"] == "/console/roles/give"
    assert desk.edge.client.cookies[pages.PLAIN] != before
    assert desk.get("/console/roles/give").status_code == 200


def test_an_old_sign_in_or_somebody_elses_is_no_proof(
    desk: Office, sso: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound(desk, sso, "admin")
    rest(desk)
    other = sign_in(desk, sso, "malee", "/console/oidc/prove")
    assert other.status_code == 401
    tamper(desk, sso, monkeypatch, lambda claims: claims | {"auth_time": int(time.time()) - 300})
    assert sign_in(desk, sso, "somchai", "/console/oidc/prove").status_code == 401
    tamper(desk, sso, monkeypatch, lambda claims: {**claims, "auth_time": None})
    assert sign_in(desk, sso, "somchai", "/console/oidc/prove").status_code == 401
    assert desk.get("/console/roles/give").status_code == 303


def test_proof_is_for_the_session_that_asked(desk: Office, sso: Provider) -> None:
    bound(desk, sso, "admin")
    rest(desk)
    way = sso.answer("somchai", begin(desk, "/console/oidc/prove"))
    flow = desk.edge.client.cookies[COOKIE]
    desk.enter("hr1")
    desk.edge.client.cookies.set(COOKIE, flow)
    assert desk.get(way).status_code == 401


# --- attacks -----------------------------------------------------------------------------

Change = Callable[[dict[str, Any]], dict[str, Any]]


def tamper(
    desk: Office, sso: Provider, monkeypatch: pytest.MonkeyPatch, change: Change, **how: Any
) -> None:
    """From now on the provider signs something else than it would; `how` is for `jwt.encode`."""
    service = desk.edge.app.sign_on
    assert service is not None
    real: Callable[..., Awaitable[str]] = type(service)._exchange.__get__(service)

    async def exchange(*args: str) -> str:
        token = await real(*args)
        claims = change(jwt.decode(token, options={"verify_signature": False}))
        given = {"key": sso.key, "algorithm": "RS256", **how}
        given["headers"] = {"kid": jwt.get_unverified_header(token)["kid"]} | how.get("headers", {})
        return jwt.encode(claims, **given)

    monkeypatch.setattr(service, "_exchange", exchange)


def test_another_state_is_refused(desk: Office, sso: Provider) -> None:
    bound(desk, sso)
    desk.leave()
    way = sso.answer("somchai", begin(desk))
    assert desk.get(changed(way, state="x" * 43)).status_code == 401
    assert desk.get(way).status_code == 401, "what was begun is over"
    way = sso.answer("somchai", begin(desk))
    desk.leave()
    assert desk.get(way).status_code == 401, "another browser"
    assert len(desk.edge.rows(select(sessions))) == 1, "of the invitation"


def test_another_nonce_is_refused(desk: Office, sso: Provider) -> None:
    bound(desk, sso)
    desk.leave()
    way = sso.answer("somchai", changed(begin(desk), nonce="of-another-sign-in"))
    assert desk.get(way).status_code == 401
    assert '{"why":"nonce"}' in refusals(desk)


def test_a_code_is_good_once_and_for_its_own_sign_in(desk: Office, sso: Provider) -> None:
    bound(desk, sso)
    desk.leave()
    way = sso.answer("somchai", begin(desk))
    code = parse_qs(urlsplit(way).query)["code"][0]
    assert desk.get(way).status_code == 303
    desk.leave()
    state = parse_qs(urlsplit(begin(desk)).query)["state"][0]
    used = f"/console/oidc/back?{urlencode({'code': code, 'state': state})}"
    assert desk.get(used).status_code == 401
    stolen = parse_qs(urlsplit(sso.answer("somchai", begin(desk))).query)["code"][0]
    state = parse_qs(urlsplit(begin(desk)).query)["state"][0]
    other = f"/console/oidc/back?{urlencode({'code': stolen, 'state': state})}"
    assert desk.get(other).status_code == 401, "its verifier is in another browser"
    assert len(desk.edge.rows(select(sessions))) == 2, "of the invitation, and of the good code"


FORGED: dict[str, tuple[Change, dict[str, Any]]] = {
    "audience": (lambda claims: claims | {"aud": "another-client"}, {}),
    "audiences": (lambda claims: claims | {"aud": [provider.CLIENT, "other"]}, {}),
    "for another": (lambda claims: claims | {"azp": "another-client"}, {}),
    "expired": (lambda claims: claims | {"exp": int(time.time()) - 120}, {}),
    "no end": (lambda claims: {k: v for k, v in claims.items() if k != "exp"}, {}),
    "issuer": (lambda claims: claims | {"iss": "https://evil.example"}, {}),
    "nobody": (lambda claims: claims | {"sub": ""}, {}),
    "not yet": (lambda claims: claims | {"iat": int(time.time()) + 3600}, {}),
    "none": (dict, {"algorithm": "none", "key": None}),
    "shared": (dict, {"algorithm": "HS256", "key": provider.SECRET}),
    "key": (dict, {"key": rsa.generate_private_key(65537, 2048)}),
    "unknown key": (dict, {"headers": {"kid": "another"}}),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_token_opens_nothing(
    desk: Office, sso: Provider, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    bound(desk, sso)
    desk.leave()
    change, how = FORGED[name]
    tamper(desk, sso, monkeypatch, change, **how)
    assert sign_in(desk, sso, "somchai").status_code == 401
    assert len(desk.edge.rows(select(sessions))) == 1, "only the one that was there"
    tamper(desk, sso, monkeypatch, dict)
    assert sign_in(desk, sso, "somchai").status_code == 303, "what is true is believed"


@pytest.mark.parametrize("query", ["", "?code=x", "?state=x", "?error=access_denied", "?code=%00"])
def test_whoever_comes_from_nowhere_is_refused(desk: Office, query: str) -> None:
    desk.edge.client.cookies.set(COOKIE, "made up")
    assert desk.get("/console/oidc/back" + query).status_code == 401


def test_whoever_turns_back_there_is_told(desk: Office) -> None:
    state = parse_qs(urlsplit(begin(desk)).query)["state"][0]
    answer = desk.get(f"/console/oidc/back?error=access_denied&state={state}")
    assert answer.status_code == 401
    assert pages.words("th")["problem_oidc_untrue"] in answer.text


# --- settings ----------------------------------------------------------------------------


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:1/o", "wrong"])
def test_a_provider_that_is_silent_keeps_nobody_else_out(
    office_with: Callable[[str], Office], sso: Provider, issuer: str
) -> None:
    desk = office_with(sso.issuer + "/" if issuer == "wrong" else issuer)
    answer = desk.get("/console/oidc/start")

    assert answer.status_code == 503
    assert pages.words("th")["problem_oidc_silent"] in answer.text
    assert "/console/oidc/start" in desk.get("/console/sign-in").text
    desk.join("hr1")
    assert desk.get("/console/reports").status_code == 200


@pytest.fixture
def office_with(
    tmp_path: Path, content: Content, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Office]]:
    monkeypatch.chdir(tmp_path)
    url = ready(tmp_path)
    agency, _ = full(url, content)
    opened: list[Any] = []

    def make(issuer: str) -> Office:
        opened.append(edge(url, content, **settings(issuer)))
        return Office(opened[-1].__enter__(), agency)

    yield make
    for each in opened:
        each.__exit__(None, None, None)


def test_without_a_provider_there_is_no_such_way(office: Office) -> None:
    assert office.get("/console/oidc/start").status_code == 404
    assert "/oidc" not in office.get("/console/sign-in").text


@pytest.mark.parametrize(
    "given",
    [
        {"KAONA_OIDC_ISSUER": "https://sso.example"},
        settings("http://sso.example"),
        settings("sso.example"),
    ],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Settings(_env_file=None, **given)  # type: ignore[call-arg]
