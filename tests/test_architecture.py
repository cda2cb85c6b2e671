"""The shape of the project: who may import what, and documents that cannot rot."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from bot.cli import app
from bot.config import names

ROOT = Path(__file__).parent.parent
ARROW = ("bot", "storage", "flows", "content")
"""Each imports only itself and what stands to its right."""
ALLOWED = {
    "content": {"pydantic"},
    "flows": {"msgspec", "pythainlp", "fsrs"},
}
"""Third parties of the two inner packages."""
IMPURE = {
    *("asyncio", "random", "secrets", "uuid", "os", "sys", "logging", "time", "threading"),
    *("socket", "subprocess", "concurrent", "http", "urllib", "sqlite3", "structlog"),
}
CLOCKS = {"now", "utcnow", "today"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """The top-level packages that a module imports anywhere, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=found):
                yield from ((alias.name.partition(".")[0], node.lineno) for alias in found)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0], node.lineno
            case ast.ImportFrom(level=level) if level:
                yield path.relative_to(ROOT).parts[0], node.lineno


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


@pytest.mark.parametrize("package", ARROW)
def test_each_package_imports_only_to_its_right(package: str) -> None:
    left = set(ARROW[: ARROW.index(package)])

    against = [
        f"{where(path, line)} imports {name}"
        for path in modules(package)
        for name, line in imported(path)
        if name in left or name in ("tests", "benchmarks")
    ]

    assert modules(package)
    assert against == []


@pytest.mark.parametrize("package", ALLOWED)
def test_the_inner_packages_keep_to_their_few_libraries(package: str) -> None:
    import sys

    known = ALLOWED[package] | set(ARROW) | set(sys.stdlib_module_names)
    strangers = [
        f"{where(path, line)} imports {name}"
        for path in modules(package)
        for name, line in imported(path)
        if name not in known
    ]

    def users(of: str) -> set[str]:
        return {path.name for path in modules(package) for name, _ in imported(path) if name == of}

    assert strangers == []
    assert users("pythainlp") <= {"text.py", "reading.py"}
    assert users("fsrs") <= {"memory.py"}


@pytest.mark.parametrize("package", ALLOWED)
def test_the_inner_packages_are_pure(package: str) -> None:
    """No clock, no chance, no environment, no threads: the same in gives the same out."""
    against = [
        f"{where(path, line)} imports {name}"
        for path in modules(package)
        for name, line in imported(path)
        if name in IMPURE
    ]
    for path in modules(package):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr=name)) if name in CLOCKS:
                    against.append(f"{where(path, node.lineno)} reads the clock")
                case ast.AsyncFunctionDef() | ast.Await():
                    against.append(f"{where(path, node.lineno)} is not a plain function")
                case ast.Call(func=ast.Name(id="print" | "input" | "open" as name)):
                    against.append(f"{where(path, node.lineno)} calls {name}")

    assert against == []


def test_no_function_is_longer_than_forty_lines() -> None:
    """Half a screen reads better; a screen is the limit."""
    long = [
        f"{where(path, node.lineno)} {node.name}: {size}"
        for package in (*ARROW, "tests", "benchmarks")
        for path in modules(package)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and "versions" not in path.parts
        and (size := (node.end_lineno or 0) - node.lineno + 1) > 40
    ]

    assert long == []


SHOWS_PEOPLE = ("digests.py", "people.py")
"""Modules of `storage/` whose every public function reads people's data for a viewer; those that
are called `reports…` are among them."""


def test_whatever_shows_peoples_data_takes_a_scope() -> None:
    """No reader without a scope: a module that reads for viewers must stand in the list."""
    forgetful = [
        f"{where(path, node.lineno)} {node.name}"
        for path in modules("storage")
        if path.name in SHOWS_PEOPLE or path.name.startswith("reports")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and "scope" not in {arg.arg for arg in (*node.args.args, *node.args.kwonlyargs)}
    ]

    assert all((ROOT / "storage" / name).exists() for name in SHOWS_PEOPLE)
    assert forgetful == []


def test_every_module_says_what_lives_there() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for package in (*ARROW, "tests", "benchmarks")
        for path in modules(package)
        if path.read_text(encoding="utf-8").strip()
        and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]

    assert silent == []


# --- documents that cannot rot -----------------------------------------------------------


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_map_names_folders_that_exist() -> None:
    found = re.findall(r"^\| \[`(\w+)/`\]\((\w+)\)", readme(), re.MULTILINE)

    assert {name for name, _ in found} >= {*ARROW, "tests"}
    assert all(name == link and (ROOT / name).is_dir() for name, link in found)


def test_links_in_the_documents_lead_somewhere() -> None:
    documents = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
    ]
    broken = [
        f"{document.relative_to(ROOT)}: {target}"
        for document in documents
        for target in re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8"))
        if "://" not in target and not (document.parent / target).exists()
    ]

    assert broken == []


def test_every_setting_is_explained_and_no_other() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    found = [match[1] for line in lines if (match := re.match(r"#?([A-Z][A-Z_]+)=", line))]

    assert sorted(found) == sorted(names())


def commands() -> list[str]:
    """Every command as it is typed."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    found = []
    for name, command in group.commands.items():
        inner = command.commands if isinstance(command, TyperGroup) else {"": None}
        found += [f"kaona {name} {each}".strip() for each in inner]
    return found


def test_every_command_is_in_the_readme() -> None:
    missing = [command for command in commands() if f"`{command}" not in readme()]

    assert len(commands()) >= 10
    assert missing == []


def test_every_target_of_make_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        name
        for document in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))
        for name in re.findall(r"`make ([a-z-]+)", document.read_text(encoding="utf-8"))
    }

    assert named <= targets
