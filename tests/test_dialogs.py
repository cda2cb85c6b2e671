"""Every transcript in `tests/dialogs/` still reads as it is written there."""

from difflib import unified_diff
from pathlib import Path

import pytest

from content.schema import Content
from flows.transcript import Fault
from tests.dialog import dialogs, played


@pytest.mark.parametrize("path", dialogs(), ids=lambda path: path.stem)
def test_dialog(path: Path, content: Content, request: pytest.FixtureRequest) -> None:
    """`pytest tests/test_dialogs.py --update` writes what is said now; `git diff` is the review."""
    written = path.read_text(encoding="utf-8")
    try:
        now = played(written, content)
    except Fault as fault:
        pytest.fail(f"{path.name}, {fault}", pytrace=False)
    if request.config.getoption("--update"):
        path.write_text(now, encoding="utf-8")
    elif now != written:
        diff = unified_diff(written.splitlines(), now.splitlines(), "written", "now", lineterm="")
        pytest.fail("\n".join(diff), pytrace=False)


@pytest.mark.parametrize("path", dialogs(), ids=lambda path: path.stem)
def test_dialog_begins_with_what_it_shows(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]

    assert first.startswith("# ")
    assert first.endswith(".")
