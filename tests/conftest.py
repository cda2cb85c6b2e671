"""What all tests may use."""

import pytest
from hypothesis import settings

from content.load import load
from content.schema import Content

pytest_plugins = ["tests.databases", "tests.offices", "tests.browsing"]

settings.register_profile("default", deadline=None)  # another process may take the machine away
settings.register_profile("nightly", max_examples=2000, deadline=None)
settings.load_profile("default")


LONG = ("test_crash", "test_walk", "test_kills", "test_service", "test_campaign_kills", "test_app")
"""Files that take minutes, the longest first. A file is run by one process: what its tests share
is made once."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long goes first, or one core would be busy with it while the other waits."""
    place = {name: n for n, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONG)))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update", action="store_true", help="rewrite tests/dialogs with what is said now"
    )


@pytest.fixture(scope="session")
def content() -> Content:
    """The real content, with somebody to write to."""
    return load().model_copy(update={"dpo": "dpo@agency.go.th"})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
