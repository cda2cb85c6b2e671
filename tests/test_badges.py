"""Certificates as Open Badges 3.0: the shape that the standard asks for, a signature that anybody
can check with what we publish, and a hash in place of a name."""

import json
import re
import stat
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jwt
import pytest
from starlette.testclient import TestClient

from bot.app import App
from bot.badges import Badges
from bot.config import Settings
from content.schema import Content
from storage import privacy
from storage.database import ConfigError
from tests.agency import CODE, Agency, full
from tests.running import Edge, edge, environment, ready

BASE = "https://kaona.example.go.th"
IRI = re.compile(r"[a-z][a-z0-9+.-]*:\S+")
NS = "{https://purl.imsglobal.org/ob/v3p0}credential"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def door(url: str, content: Content, folder: Path) -> Iterator[Edge]:
    full(url, content)
    with edge(url, content) as made:
        yield made


@pytest.fixture
def kept(folder: Path, content: Content) -> Iterator[tuple[Edge, Agency]]:
    url = ready(folder)
    agency, _ = full(url, content)
    with edge(url, content) as made:
        yield made, agency


def only(what: dict[str, Any], must: set[str], may: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    assert must <= what.keys() <= must | may


def check(it: dict[str, Any]) -> None:
    """What the schema of Open Badges 3.0 requires, and no field that it does not know."""
    only(it, {"@context", "id", "type", "name", "issuer", "validFrom", "credentialSubject"},
         {"evidence", "credentialSchema"})  # fmt: skip
    assert it["@context"][0] == "https://www.w3.org/ns/credentials/v2"
    assert it["@context"][1] == "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
    assert IRI.fullmatch(it["id"])
    assert set(it["type"]) == {"VerifiableCredential", "OpenBadgeCredential"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", it["validFrom"])
    profile(it["issuer"])
    subject = it["credentialSubject"]
    only(subject, {"type", "achievement", "identifier"}, {"result"})
    assert subject["type"] == ["AchievementSubject"]
    for each in subject["identifier"]:
        only(each, {"type", "hashed", "identityHash", "identityType", "salt"})
        assert each["type"] == "IdentityObject"
    achievement(subject["achievement"])
    described = {each["id"] for each in subject["achievement"]["resultDescription"]}
    for each in subject["result"]:
        only(each, {"type", "resultDescription", "status"})
        assert each["type"] == ["Result"]
        assert each["resultDescription"] in described
        assert each["status"] == "Completed"
    for each in it["evidence"]:
        only(each, {"type", "name", "narrative"})
        assert each["type"] == ["Evidence"]
    for each in it["credentialSchema"]:
        only(each, {"id", "type"})


def profile(it: dict[str, Any]) -> None:
    only(it, {"id", "type", "name", "url"})
    assert it["type"] == ["Profile"]
    assert IRI.fullmatch(it["id"])


def achievement(it: dict[str, Any]) -> None:
    only(it, {"id", "type", "name", "description", "criteria"},
         {"achievementType", "creator", "resultDescription"})  # fmt: skip
    assert it["type"] == ["Achievement"]
    only(it["criteria"], {"narrative"})
    for each in it["resultDescription"]:
        only(each, {"id", "type", "name", "resultType"})
        assert each["type"] == ["ResultDescription"]


def get(door: Edge, path: str) -> Any:
    answer = door.client.get(path)
    assert answer.status_code == 200, (path, answer.text)
    return answer


def verified(door: Edge, token: str) -> dict[str, Any]:
    """As a stranger does: fetch the key that the header names, and check."""
    head = jwt.get_unverified_header(token)
    assert (head["alg"], head["typ"]) == ("RS256", "JWT")
    key = jwt.PyJWK(get(door, head["kid"].removeprefix(BASE)).json())
    keys = get(door, "/.well-known/jwks.json").json()
    assert keys == get(door, "/api/v1/badges/keys").json()
    assert head["kid"] in [each["kid"] for each in keys["keys"]]
    issuer = f"{BASE}/api/v1/badges/issuer"
    claims: dict[str, Any] = jwt.decode(token, key, ["RS256"], issuer=issuer)
    return claims


def test_a_badge_is_signed_and_as_the_standard_says(door: Edge) -> None:
    plain = get(door, f"/verify/{CODE}.json").json()
    token = get(door, f"/verify/{CODE}.jwt").text
    claims = verified(door, token)
    jti, nbf, issuer = claims.pop("jti"), claims.pop("nbf"), claims.pop("iss")

    check(plain)
    assert claims == plain
    assert jti == plain["id"] == f"{BASE}/verify/ABCD-EFGH-JKLM-N"
    assert nbf == int(datetime.fromisoformat(plain["validFrom"]).timestamp())
    assert issuer == plain["issuer"]["id"]
    assert get(door, issuer.removeprefix(BASE)).json() == plain["issuer"]
    known = plain["credentialSubject"]["achievement"]
    assert get(door, known["id"].removeprefix(BASE)).json() == known


def test_whoever_knows_the_name_can_check_it_and_nobody_can_read_it(door: Edge) -> None:
    answer = get(door, f"/verify/{CODE}.json")
    (identity,) = answer.json()["credentialSubject"]["identifier"]
    hashed = sha256(("Name-a1" + identity["salt"]).encode()).hexdigest()

    assert identity["hashed"] is True
    assert identity["identityHash"] == "sha256$" + hashed
    assert "Name-a1" not in answer.text


def test_it_never_says_to_be_somebody_elses_certificate(door: Edge) -> None:
    said = get(door, f"/verify/{CODE}.json").json()["credentialSubject"]["achievement"]

    assert "is not a competency certificate of TPQI or ICDL" in said["criteria"]["narrative"]
    assert "ไม่ใช่ใบรับรองสมรรถนะ" in said["criteria"]["narrative"]
    for field in ("name", "description"):
        assert not re.search("TPQI|ICDL|สคช", said[field])


def test_a_changed_badge_is_noticed(door: Edge) -> None:
    head, body, signature = get(door, f"/verify/{CODE}.jwt").text.split(".")
    changed = jwt.utils.base64url_decode(body).replace(b"1 times", b"9 times")
    changed = changed.replace(b"Completed", b"Enrolled.")
    forged = ".".join((head, jwt.utils.base64url_encode(changed).decode(), signature))

    with pytest.raises(jwt.InvalidSignatureError):
        verified(door, forged)


def test_the_picture_carries_the_badge(door: Edge) -> None:
    answer = get(door, f"/verify/{CODE}.svg")
    (inside,) = ElementTree.fromstring(answer.text).findall(NS)

    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert answer.headers["content-disposition"].startswith("attachment")
    check({k: v for k, v in verified(door, inside.attrib["verify"]).items()
           if k not in ("iss", "jti", "nbf")})  # fmt: skip


def test_the_page_offers_it(door: Edge) -> None:
    page = get(door, f"/verify/{CODE}").text
    english = door.client.get(f"/verify/{CODE}", headers={"accept-language": "en"}).text

    assert "ดาวน์โหลดป้ายดิจิทัล (Open Badges 3.0)" in page
    assert "/verify/ABCD-EFGH-JKLM-N.svg" in page
    assert "Download the digital badge" in english
    assert "Open Badges" not in door.client.get("/verify/NONE").text


def test_there_is_none_without_a_certificate(kept: tuple[Edge, Agency]) -> None:
    door, agency = kept
    paths = [f"/verify/NONE.{form}" for form in ("json", "jwt", "svg")]
    assert [door.client.get(path).status_code for path in paths] == [404] * 3
    run = door.client.portal.call  # type: ignore[union-attr]
    learner = agency.learners["a1"]
    run(door.app.dispatcher.run, lambda conn, now: privacy.erase(conn, [learner]))

    assert door.client.get(f"/verify/{CODE}.json").status_code == 404


def test_the_key_is_made_once_and_ours_alone(kept: tuple[Edge, Agency]) -> None:
    door, _ = kept
    first = get(door, "/.well-known/jwks.json").json()
    path = door.app.var / "badge_key.pem"

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(path.parent.glob("badge_key.pem.*"))
    assert Badges(door.app).jwks() == first
    assert set(first["keys"][0]) == {"kty", "n", "e", "kid", "alg", "use"}  # nothing private
    path.write_text("no key")
    with pytest.raises(ConfigError, match="KAONA_BADGE_KEY"):
        _ = Badges(door.app).key


def test_without_a_public_address_there_are_no_badges(folder: Path, content: Content) -> None:
    url = ready(folder)
    full(url, content)
    given = environment(url, KAONA_PUBLIC_URL="")
    app = App(Settings(_env_file=None, **given), content, works=False)  # type: ignore[call-arg]
    with TestClient(app.asgi()) as client:
        assert client.get(f"/verify/{CODE}.json").status_code == 404
        assert client.get("/.well-known/jwks.json").status_code == 404
        answer = client.get("/api/v1/badges/keys")
        assert "Open Badges" not in client.get(f"/verify/{CODE}").text
    assert answer.status_code == 503
    assert "KAONA_PUBLIC_URL" in json.loads(answer.text)["detail"]
