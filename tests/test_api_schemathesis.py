"""The API against its own OpenAPI document, by schemathesis, as every role and as nobody."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest
from msgspec import Struct

from content.schema import Content
from tests.agency import full
from tests.running import Service, environment, eventually, ready

FEW = ("hr", "h1", "")
"""Whose requests are tried in CI: an officer's, a manager's, nobody's."""
ROLES = ("hr", "hr1", "h1", "privacy", "approver", "ocsc", "admin")
CHECKS = "not_a_server_error,ignored_auth,status_code_conformance,response_schema_conformance"
CHECKS += ",content_type_conformance,unsupported_method"


class Api(Struct):
    base: str
    tokens: dict[str, str]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, content: Content) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("api")
    url = ready(folder)
    _, tokens = full(url, content)
    service = Service(folder, environment(url))
    service.start()
    eventually(service.answers, 60)
    yield Api(f"http://127.0.0.1:{service.port}/api/v1", tokens)
    service.end()


def judged(api: Api, who: str, examples: int) -> "subprocess.CompletedProcess[str]":
    """What schemathesis says of the whole API for somebody."""
    token = api.tokens.get(who, "")
    proof = ["-H", f"Authorization: Bearer {token}"] if token else []
    program = [sys.executable, "-m", "schemathesis.cli", "run", f"{api.base}/openapi.json"]
    options = ["--checks", CHECKS, "--max-examples", str(examples), "--seed", "1"]
    options += ["--phases", "examples,coverage,fuzzing", "--generation-database", "none"]
    made = program + options + proof
    return subprocess.run(
        made, capture_output=True, text=True, timeout=1800, cwd=tempfile.gettempdir()
    )


@pytest.mark.parametrize("who", FEW)
def test_no_request_breaks_the_api_or_its_document(api: Api, who: str) -> None:
    found = judged(api, who, 4)

    assert found.returncode == 0, found.stdout[-4000:]


@pytest.mark.soak
@pytest.mark.parametrize("who", [*ROLES, ""])
def test_many_requests_break_nothing_either(api: Api, who: str) -> None:
    found = judged(api, who, 100)

    assert found.returncode == 0, found.stdout[-4000:]
