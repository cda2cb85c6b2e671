"""The JSON API: who is let in and sees what, what every answer looks like, and that a request sent
twice has one effect."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from fastapi.routing import APIRoute
from msgspec import Struct
from openapi_core import Config, OpenAPI
from openapi_core.contrib.starlette import StarletteOpenAPIRequest
from sqlalchemy import func, select, update

from bot.api import LARGEST
from bot.api.access import Needs, Open
from bot.api.main import MODULES
from bot.headers import HEADERS
from content.schema import Content
from storage import repeats, tokens
from storage.database import Database
from storage.models import audit, claim_codes, grants, hooks, persons, profiles
from storage.models import repeats as repeats_table
from storage.models import tokens as tokens_table
from tests.agency import CODE, POISON, Agency, full
from tests.running import Edge, edge, kaona, ready, rows

API = "/api/v1"


class Desk(Struct):
    """A running service with an agency in it, and everybody's tokens."""

    edge: Edge
    agency: Agency
    tokens: dict[str, str]

    def ask(self, who: str, path: str, method: str = "GET", **more: Any) -> Any:
        """Somebody with a token waits when they are told to: many tests ask as the same one."""
        answer = self.once(who, path, method, **more)
        while who in self.tokens and answer.status_code == 429:
            sleep(int(answer.headers["retry-after"]))
            answer = self.once(who, path, method, **more)
        return answer

    def once(self, who: str, path: str, method: str = "GET", **more: Any) -> Any:
        token = self.tokens.get(who, who)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= more.get("headers", {})
        more = {key: value for key, value in more.items() if key != "headers"}
        return self.edge.client.request(method, API + path, headers=headers, **more)

    def post(self, who: str, path: str, key: str, body: Any = None) -> Any:
        more = {"json": body} if body is not None else {}
        return self.ask(who, path, "POST", headers={"Idempotency-Key": key}, **more)

    def count(self, table: Any, *where: Any) -> int:
        return int(self.edge.rows(select(func.count()).select_from(table).where(*where))[0][0])


def opened(url: str, content: Content) -> Iterator[Desk]:
    agency, known = full(url, content)
    with edge(url, content) as made:
        yield Desk(made, agency, known)


@pytest.fixture
def desk(
    url: str, content: Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    """On each engine in turn."""
    monkeypatch.chdir(tmp_path)
    yield from opened(url, content)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, content: Content) -> Iterator[Desk]:
    """On SQLite, for all tests that change nothing others look at."""
    yield from opened(ready(tmp_path_factory.mktemp("kept")), content)


# --- every route -------------------------------------------------------------------------


def inventory() -> list[APIRoute]:
    """All there are; that the document names no other is tested below."""
    found = [route for module in MODULES for route in module.router.routes]
    return [route for route in found if isinstance(route, APIRoute)]


def declared(route: APIRoute) -> list[Any]:
    """What a route says it needs, or that it is open."""
    calls = [dependency.call for dependency in route.dependant.dependencies]
    return [call for call in calls if isinstance(call, Needs | Open)]


CLOSED = {
    "GET /me": (),
    "GET /units": ("names", "figures", "team"),
    "GET /people": ("names",),
    "GET /people/{hr_id}/progress": ("names",),
    "GET /evidence": ("names",),
    "GET /reports": ("figures",),
    "GET /reports/{name}": ("figures",),
    "POST /people/{hr_id}/codes": ("roster",),
    "GET /hooks": ("names", "figures"),
    "POST /hooks": ("names", "figures"),
    "DELETE /hooks/{id}": ("names", "figures"),
    "GET /xapi/statements": ("names", "figures"),
}
"""Every route that takes a token, and any of which powers. Whoever adds one adds it here."""
OPEN = {
    "GET /certificates/{code}",
    "GET /badges/issuer",
    "GET /badges/achievement",
    "GET /badges/keys",
    "GET /badges/keys/{thumbprint}",
}


def test_every_route_declares_what_it_needs() -> None:
    closed, free = {}, set()
    for route in inventory():
        (one,) = declared(route)
        (method,) = route.methods
        if isinstance(one, Needs):
            closed[f"{method} {route.path}"] = one.powers
        else:
            free.add(f"{method} {route.path}")

    assert closed == CLOSED
    assert free == OPEN


def calls() -> list[tuple[str, str, bool]]:
    """Each closed route as a request; whether a token alone is enough."""
    found = []
    for name, powers in CLOSED.items():
        method, path = name.split(" ")
        path = path.format(hr_id="HR-a1", name="steps", id=1) if "{" in path else path
        found.append((method, path, not powers))
    return found


BODY = {"kind": "webhook", "url": "https://example.org/hook"}


def send(kept: Desk, who: str, method: str, path: str) -> Any:
    more: dict[str, Any] = {"headers": {"Idempotency-Key": f"{who[:9]}{path}"}}
    if (method, path) == ("POST", "/hooks"):
        more["json"] = BODY
    return kept.ask(who, path, method, **more)


WRONG = ["", "x", "kaona_" + "A" * 43, "kaona_" + "ก" * 5, "' or 1=1 --", "kaona_" + "A" * 4000]


@pytest.mark.parametrize(("method", "path", "any_token"), calls())
def test_nobody_is_let_in_without_a_token(
    kept: Desk, method: str, path: str, any_token: bool
) -> None:
    for token in WRONG:
        if not token.isascii():
            continue
        answer = send(kept, token, method, path)

        assert answer.status_code in (401, 429), token
        problem(answer)
        if answer.status_code == 401:
            assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path", "any_token"), calls())
def test_a_token_of_somebody_without_the_role_opens_nothing(
    kept: Desk, method: str, path: str, any_token: bool
) -> None:
    for who in ("nobody", "admin"):  # a system admin sees nobody's data
        answer = send(kept, who, method, path)

        assert answer.status_code == (200 if any_token else 403)
    assert problem(answer, 403)["title"] == "Forbidden" if not any_token else True


def problem(answer: Any, status: int | None = None) -> dict[str, Any]:
    """An answer as RFC 9457 has it, with a sentence that helps."""
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert told["status"] == answer.status_code == (status or answer.status_code)
    assert {"type", "title", "status", "detail"} <= told.keys()
    assert len(told["detail"]) > 10
    return told


# --- who sees whom -----------------------------------------------------------------------


def people(desk: Desk, who: str, query: str = "") -> set[str]:
    answer = desk.ask(who, f"/people{query}")
    assert answer.status_code == 200, answer.text
    return {each["hr_id"] for each in answer.json()["people"]}


def test_everybody_sees_their_own_units_only(desk: Desk) -> None:
    one, two = {"HR-h1", "HR-hr1", "HR-a1", "HR-b1"}, {"HR-h2", "HR-hr2", "HR-a2", "HR-b2"}
    top = {f"HR-{who}" for who in ("hr", "approver", "ocsc", "admin", "privacy", "nobody")}

    assert people(desk, "hr1") == one
    assert people(desk, "hr2") == two
    assert people(desk, "hr") == people(desk, "privacy") == one | two | top
    assert people(desk, "hr", "?unit=top / one") == one
    assert people(desk, "hr1", "?unit=top / two") == set()
    assert people(desk, "hr", "?group=academic") == set()  # nobody's state says so
    assert [desk.ask(who, "/people").status_code for who in ("h1", "ocsc")] == [403, 403]
    units = {who: desk.ask(who, "/units").json()["units"] for who in ("h1", "hr2", "hr")}
    paths = {who: [unit["path"] for unit in found] for who, found in units.items()}
    assert paths == {"h1": ["top / one"], "hr2": ["top / two"],
                     "hr": ["top", "top / one", "top / two"]}  # fmt: skip


def test_somebody_elses_people_do_not_exist(desk: Desk) -> None:
    mine = desk.ask("hr1", "/people/HR-a1/progress")
    theirs, none = (desk.ask("hr1", f"/people/{who}/progress") for who in ("HR-a2", "HR-none"))

    assert mine.status_code == 200
    assert [step["step"] for step in mine.json()["steps"]] == ["learn"]
    assert mine.json()["uses_at_work"] == [{"round": 1, "uses": 1, "confirmed": 1}]
    assert mine.json()["certificates"][0]["code"] == "ABCD-EFGH-JKLM-N"
    assert problem(theirs, 404) == problem(none, 404)
    assert desk.post("hr1", "/people/HR-a2/codes", "k1").status_code == 404
    assert desk.post("privacy", "/people/HR-a1/codes", "k1").status_code == 403
    found = desk.ask("hr1", "/evidence").json()["evidence"]
    assert [use["hr_id"] for use in found] == ["HR-a1"]
    assert desk.ask("hr", "/evidence?status=chosen").json()["evidence"] == []


def test_whoever_restricts_the_use_of_their_data_is_listed_nowhere(desk: Desk) -> None:
    mine = desk.agency.persons["a1"]
    rest = update(profiles).where(profiles.c.person_id == mine).values(restricted=True)
    run = desk.edge.client.portal.call  # type: ignore[union-attr]
    before = people(desk, "hr1")
    run(desk.edge.app.dispatcher.run, lambda conn, now: conn.execute(rest) and None)

    assert people(desk, "hr1") == before - {"HR-a1"}
    assert desk.ask("hr1", "/people/HR-a1/progress").status_code == 404
    assert desk.ask("hr1", "/evidence").json()["evidence"] == []
    assert desk.post("hr1", "/people/HR-a1/codes", "k1").status_code == 201


def test_ocsc_has_no_single_persons_facts(kept: Desk) -> None:
    """Learners are told that it sees totals: a stream of pseudonyms is none."""
    assert problem(kept.ask("ocsc", "/xapi/statements"), 403)
    assert problem(kept.post("ocsc", "/hooks", "ocsc", BODY), 403)
    assert kept.ask("approver", "/xapi/statements").json()["statements"]
    assert kept.ask("h1", "/xapi/statements").status_code == 403


def test_nothing_that_a_learner_wrote_comes_out(kept: Desk) -> None:
    hr = kept.tokens["hr"]
    paths = ["/people", "/people/HR-a1/progress", "/evidence", "/xapi/statements?limit=500"]
    for path in [*paths, "/reports/funnel", f"/certificates/{CODE}", "/units", "/me"]:
        answer = kept.ask(hr, path)
        assert answer.status_code == 200, path
        assert POISON not in answer.text


def test_rights_hold_as_they_are_at_this_moment(desk: Desk) -> None:
    """A grant that ended yesterday, somebody who has left, a token that was revoked."""
    assert people(desk, "hr1")
    run = desk.edge.client.portal.call  # type: ignore[union-attr]

    def change(job: Any) -> None:
        run(desk.edge.app.dispatcher.run, job)

    gone = update(grants).where(grants.c.person_id == desk.agency.persons["hr1"])
    change(lambda conn, now: conn.execute(gone.values(until_on=1)) and None)
    assert desk.ask("hr1", "/people").status_code == 403
    assert desk.ask("hr1", "/me").json()["roles"] == []
    left = update(persons).where(persons.c.id == desk.agency.persons["hr2"])
    change(lambda conn, now: conn.execute(left.values(left_on=1)) and None)
    assert desk.ask("hr2", "/people").status_code == 403
    change(lambda conn, now: tokens.revoke(conn, token_id(desk, "hr"), now))
    assert desk.ask("hr", "/people").status_code == 401
    over = update(tokens_table).where(tokens_table.c.id == token_id(desk, "privacy"))
    early = datetime.now(UTC) - timedelta(seconds=1)
    change(lambda conn, now: conn.execute(over.values(expires_at=early)) and None)
    assert desk.ask("privacy", "/me").status_code == 401


def token_id(desk: Desk, who: str) -> int:
    found = select(tokens_table.c.id).where(tokens_table.c.person_id == desk.agency.persons[who])
    return int(desk.edge.rows(found)[0][0])


def test_pages_follow_one_another(kept: Desk) -> None:
    seen, after = [], 0
    while after is not None:
        page = kept.ask("hr", f"/people?limit=4&after={after}").json()
        assert len(page["people"]) <= 4
        seen += [each["hr_id"] for each in page["people"]]
        after = page["next"]

    assert seen == sorted(set(seen), key=seen.index)
    assert len(seen) == 14


def test_a_report_counts_what_the_viewer_may_see(kept: Desk) -> None:
    whole = kept.ask("hr", "/reports/funnel").json()
    one = kept.ask("hr1", "/reports/funnel").json()

    names = {each["name"] for each in kept.ask("hr", "/reports").json()["reports"]}
    assert {"funnel", "skills", "behind", "quality"} <= names
    assert (whole["denominator"], one["denominator"]) == (14, 4)
    assert [column["id"] for column in whole["columns"]][:3] == ["unit", "group", "step"]
    assert kept.ask("ocsc", "/reports/funnel").status_code == 403
    assert kept.ask("hr1", "/reports/funnel?unit=top / two").status_code == 403
    assert kept.ask("hr", "/reports/none").status_code == 404
    assert kept.ask("hr", "/reports/funnel?from=yesterday").status_code == 422


# --- notes -------------------------------------------------------------------------------


def test_every_look_at_people_is_noted(desk: Desk) -> None:
    for path in ("/people", "/people/HR-a1/progress", "/evidence", "/xapi/statements"):
        assert desk.ask("hr1", path).status_code == 200
    desk.post("hr1", "/people/HR-a1/codes", "k")
    entries = desk.edge.rows(select(audit).order_by(audit.c.id))

    by = [row.action for row in entries if row.by_id == desk.agency.persons["hr1"]]
    assert by == ["api_people", "api_progress", "api_evidence", "api_xapi", "code_issued"]
    assert [row.action for row in entries][:2] == ["token_created"] * 2
    assert "Name-" not in str([row.data + row.target for row in entries])
    (used,) = desk.edge.rows(
        select(tokens_table.c.used_at).where(tokens_table.c.id == token_id(desk, "hr1"))
    )
    assert used[0] is not None


def test_a_token_is_kept_as_a_hash_only(kept: Desk) -> None:
    stored = str(kept.edge.rows(select(tokens_table)))

    assert all(len(token) == len("kaona_") + 43 for token in kept.tokens.values())
    assert not any(token in stored or token[6:] in stored for token in kept.tokens.values())


# --- what is refused ---------------------------------------------------------------------

STRANGE = [
    ("GET", "/people?unti=top", None),
    ("GET", "/people?limit=0", None),
    ("GET", "/people?limit=many", None),
    ("GET", "/people?after=-1", None),
    ("GET", "/people?after=99999999999999999999", None),
    ("GET", "/evidence?status=other", None),
    ("GET", "/xapi/statements?since=2026-01-01T00:00:00", None),
    ("GET", "/reports/funnel?colour=red", None),
    ("GET", "/me?x=1", None),
    ("POST", "/hooks", {**BODY, "extra": 1}),
    ("POST", "/hooks", {"kind": "other", "url": "https://example.org"}),
    ("POST", "/hooks", {"kind": "webhook", "url": "http://example.org"}),
    ("POST", "/hooks", {"kind": "webhook", "url": "https://127.0.0.1/x"}),
    ("POST", "/hooks", {"kind": "webhook", "url": "https://example.org", "topics": ["answered"]}),
    ("POST", "/hooks", {"kind": "webhook", "url": "https://example.org", "user": "u"}),
    ("POST", "/hooks", {"kind": "xapi", "url": "https://example.org"}),
    ("POST", "/hooks", {"kind": "xapi", "url": "https://example.org", "user": "a:b"}),
    ("POST", "/hooks", []),
    ("DELETE", "/hooks/x", None),
]


@pytest.mark.parametrize(("method", "path", "body"), STRANGE)
def test_what_does_not_fit_is_refused_and_explained(
    kept: Desk, method: str, path: str, body: Any
) -> None:
    answer = kept.ask("hr", path, method, json=body, headers={"Idempotency-Key": "strange"})

    problem(answer, 422)
    assert kept.count(hooks) == 0


def test_a_body_that_is_no_json_or_too_large_is_refused(kept: Desk) -> None:
    for body, status in ((b"{", 422), (b"\xff", 422), (b" " * (LARGEST + 1), 413)):
        headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
        answer = kept.ask("hr", "/hooks", "POST", content=body, headers=headers)
        assert answer.status_code in (400, status)
        problem(answer)


def test_what_changes_something_wants_a_key(kept: Desk) -> None:
    answer = kept.ask("hr", "/people/HR-a1/codes", "POST")

    assert problem(answer, 422)["errors"][0]["where"] == "header.Idempotency-Key"
    for key in ("", "a b", "x" * 65):
        assert kept.post("hr", "/people/HR-a1/codes", key).status_code == 422


def test_every_answer_is_guarded(kept: Desk) -> None:
    for who, path, status in (
        ("", "/openapi.json", 200),
        ("", "/docs", 404),
        ("", "/redoc", 404),
        ("", "/me", 401),
        ("hr", "/me", 200),
        ("hr", "/nowhere", 404),
        ("nobody", "/people", 403),
    ):
        answer = kept.ask(who, path)
        assert answer.status_code == status, path
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        if status != 200:
            problem(answer)
    problem(kept.ask("hr", "/people", "PUT"), 405)


def test_a_bug_of_ours_quotes_nobody(kept: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("poison")

    monkeypatch.setattr("storage.directory.list_units", fail)

    answer = kept.ask("hr", "/units")

    problem(answer, 500)
    assert "poison" not in answer.text


def test_a_token_that_asks_too_often_is_told_to_wait(desk: Desk) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: desk.once("hr2", "/me"), range(80)))
    slow = [answer for answer in answers if answer.status_code == 429]

    assert {answer.status_code for answer in answers} == {200, 429}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in slow)
    problem(slow[0], 429)
    assert desk.ask("hr1", "/me").status_code == 200


# --- once --------------------------------------------------------------------------------


def test_a_request_sent_again_is_answered_as_before(desk: Desk) -> None:
    first = desk.post("hr1", "/people/HR-a1/codes", "key-1")
    again = desk.post("hr1", "/people/HR-a1/codes", "key-1")
    other = desk.post("hr1", "/people/HR-b1/codes", "key-1")
    new = desk.post("hr1", "/people/HR-a1/codes", "key-2")
    elses = desk.post("hr", "/people/HR-a1/codes", "key-1")  # keys are each token's own

    assert first.status_code == again.status_code == new.status_code == elses.status_code == 201
    assert first.json() == again.json()
    assert first.json()["code"] not in (new.json()["code"], elses.json()["code"])
    assert "Idempotency-Key" in problem(other, 422)["detail"]
    assert desk.count(claim_codes) == 3
    stored = str(desk.edge.rows(select(repeats_table)))
    assert first.json()["code"] not in stored  # a code works once: what is kept is sealed


def test_requests_at_the_same_moment_have_one_effect(desk: Desk) -> None:
    with ThreadPoolExecutor(12) as pool:
        sent = [pool.submit(desk.post, "hr1", "/people/HR-a1/codes", "same") for _ in range(12)]
        answers = [each.result() for each in sent]

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["code"] for answer in answers}) == 1
    assert desk.count(claim_codes) == 1


def test_two_processes_have_one_effect_too(db: Database, content: Content) -> None:
    """Both come at once; on PostgreSQL each in a transaction of its own."""
    if db.sqlite:
        pytest.skip("SQLite has one writer")
    agency = Agency(db, datetime.now(UTC))
    agency.token(db, "hr")
    effects = []

    def act(conn: Any, now: datetime) -> repeats.Answer:
        effects.append(1)
        conn.exec_driver_sql("select pg_sleep(0.2)")
        return repeats.Answer(201, f"{len(effects)}")

    def ask(_: int) -> repeats.Answer:
        with db.write() as conn:
            return repeats.once(conn, 1, "k", "r", agency.now, act)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(4)))
    assert effects == [1]
    assert set(answers) == {repeats.Answer(201, "1")}


def test_answers_are_forgotten_after_a_day(db: Database) -> None:
    agency = Agency(db, datetime.now(UTC))
    agency.token(db, "hr")
    later = agency.now + repeats.KEPT

    def ask(request: str, at: datetime) -> str:
        with db.write() as conn:
            act = lambda _, now: repeats.Answer(201, request)  # noqa: E731
            return repeats.once(conn, 1, "k", request, at, act).text

    assert ask("first", agency.now) == "first"
    with pytest.raises(repeats.Different):
        ask("second", later - timedelta(seconds=1))
    assert ask("second", later) == "second"
    with db.write() as conn:
        assert repeats.purge(conn, later) == 0
        assert repeats.purge(conn, later + repeats.KEPT) == 1


def test_a_hook_is_added_listed_and_ended(desk: Desk) -> None:
    made = desk.post("hr1", "/hooks", "k", BODY | {"topics": ["step_done"]})
    id = made.json()["id"]

    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    (listed,) = desk.ask("hr1", "/hooks").json()["hooks"]
    assert (listed["id"], listed["topics"], listed["ended_at"]) == (id, ["step_done"], None)
    assert "secret" not in listed
    assert desk.ask("hr2", "/hooks").json()["hooks"] == []
    assert desk.ask("hr2", f"/hooks/{id}", "DELETE").status_code == 404
    assert desk.ask("hr1", f"/hooks/{id}", "DELETE").status_code == 204
    assert desk.ask("hr1", f"/hooks/{id}", "DELETE").status_code == 404
    assert made.json()["secret"] not in str(desk.edge.rows(select(hooks)))


# --- the document ------------------------------------------------------------------------


def test_answers_are_as_the_document_says(kept: Desk) -> None:
    document = kept.ask("", "/openapi.json").json()
    read: Any = {"application/problem+json": json.loads}
    api = OpenAPI.from_dict(document, config=Config(extra_media_type_deserializers=read))

    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": API}]
    for who, path in (
        ("hr", "/me"),
        ("hr", "/units"),
        ("hr", "/people?limit=3"),
        ("hr", "/people/HR-a1/progress"),
        ("hr", "/people/HR-b2/progress"),
        ("hr", "/evidence"),
        ("hr", "/reports"),
        ("hr", "/reports/funnel"),
        ("hr", "/hooks"),
        ("hr", "/xapi/statements"),
        ("", f"/certificates/{CODE}"),
        ("", "/badges/issuer"),
        ("", "/me"),
        ("nobody", "/people"),
        ("hr", "/people/none/progress"),
        ("hr", "/people?limit=0"),
    ):
        answer = kept.ask(who, path)
        api.validate_response(Asked(path), Given(answer))


class Asked:
    """A request, as openapi-core wants to see it."""

    def __init__(self, path: str) -> None:
        self.host_url = "http://testserver"
        self.path = API + path.split("?")[0]
        self.full_url_pattern = self.host_url + self.path
        self.method = "get"
        self.parameters: Any = StarletteOpenAPIRequest
        self.content_type = "application/json"
        self.body = None


class Given:
    """An answer, as openapi-core wants to see it."""

    def __init__(self, answer: Any) -> None:
        self.data = answer.content
        self.status_code = answer.status_code
        self.content_type = answer.headers["content-type"]
        self.headers = dict(answer.headers)


def test_the_document_names_every_route_and_how_to_log_in(kept: Desk) -> None:
    document = kept.ask("", "/openapi.json").json()
    named = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
    }

    assert named == CLOSED.keys() | OPEN
    for name in named:
        method, path = name.split(" ")
        operation = document["paths"][path][method.lower()]
        assert bool(operation.get("security")) == (name in CLOSED)
        assert operation["description"]
        assert {"401", "403", "404", "422", "429", "503"} <= operation["responses"].keys()
    assert json.dumps(document).count("http://") == 0  # nothing is loaded from elsewhere


# --- the command line --------------------------------------------------------------------


def test_tokens_are_made_listed_and_revoked_at_the_command_line(
    tmp_path: Path, content: Content
) -> None:
    url = ready(tmp_path)
    full(url, content)
    env = {"KAONA_DATABASE_URL": url, "KAONA_SECRET_KEY": "k" * 48, "KAONA_DPO_CONTACT": "dpo"}

    made = kaona("token", "create", "HR-hr", "--name", "LMS", folder=tmp_path, **env)
    unknown = kaona("token", "create", "HR-none", "--name", "x", folder=tmp_path, **env)
    listed = kaona("token", "list", folder=tmp_path, **env)
    ended = kaona("token", "revoke", "1", folder=tmp_path, **env)
    twice = kaona("token", "revoke", "1", folder=tmp_path, **env)

    assert made.returncode == listed.returncode == ended.returncode == 0, made.stderr
    secret = made.stdout.splitlines()[1]
    assert secret.startswith("kaona_")
    assert secret not in listed.stdout
    assert "LMS" in listed.stdout
    for refused in (unknown, twice):
        assert refused.returncode == 2
        assert refused.stderr.splitlines()[-1].startswith("kaona: ")
    (first,) = rows(url, select(tokens_table.c.revoked_at).where(tokens_table.c.id == 1))
    assert first[0] is not None
