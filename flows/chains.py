"""Who supervises whom, and which unit is meant: what only all rows of a roster show together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from flows.roster import Entry, Fault

SHOWN = 12
"""Rows of a circle that are named."""


def repeats(entries: Iterable[Entry]) -> Iterator[Fault]:
    """Ids that were there before, each with the row that had it first."""
    first: dict[str, int] = {}
    for entry in entries:
        row = first.setdefault(entry.hr_id, entry.row)
        if row != entry.row:
            yield Fault(entry.row, "twice", "hr_id", {"row": row})


def resolve(
    entries: Sequence[Entry], others: Mapping[str, str], above: Mapping[str, str]
) -> list[Fault]:
    """Make HR's id of each supervisor, and see that nobody is above themselves. `others` are the
    people whom the file leaves as they are, with their names by id, and `above` are their
    supervisors."""
    named = _named(entries, others)
    ids = {entry.hr_id for entry in entries} | others.keys()
    faults = []
    for entry in entries:
        said = entry.supervisor
        if not said:
            continue
        found = said if said in ids else named.get(said)
        if found is None:
            faults.append(Fault(entry.row, "supervisor", "supervisor"))
        elif not found:
            faults.append(Fault(entry.row, "supervisor_name", "supervisor"))
        elif found == entry.hr_id:
            faults.append(Fault(entry.row, "supervisor_self", "supervisor"))
        else:
            entry.supervisor = found
    return faults or list(_circles(entries, above))


def _named(entries: Iterable[Entry], others: Mapping[str, str]) -> dict[str, str]:
    """Ids by name; an empty one where more than one person has it."""
    found: dict[str, str] = {}
    for hr_id, name in (*((e.hr_id, e.name) for e in entries), *others.items()):
        found[name] = "" if name in found else hr_id
    return found


def _circles(entries: Sequence[Entry], above: Mapping[str, str]) -> Iterator[Fault]:
    """Each circle once, told to all of its rows."""
    rows = {entry.hr_id: entry.row for entry in entries}
    up = {**above, **{e.hr_id: e.supervisor for e in entries if e.supervisor is not None}}
    done: set[str] = set()
    for start in rows:
        path: dict[str, None] = {}
        here = start
        while here and here not in done and here not in path:
            path[here] = None
            here = up.get(here, "")
        if here in path:
            round_ = list(path)[list(path).index(here) :]
            numbers = sorted(rows[hr_id] for hr_id in round_ if hr_id in rows)
            shown = ", ".join(map(str, numbers[:SHOWN])) + " …" * (len(numbers) > SHOWN)
            yield from (Fault(row, "cycle", "supervisor", {"rows": shown}) for row in numbers)
        done.update(path)


def in_order(entries: Sequence[Entry]) -> list[Entry]:
    """Everybody after their supervisor."""
    waiting = {entry.hr_id: entry for entry in entries}
    ordered: list[Entry] = []
    for entry in entries:
        chain: list[Entry] = []
        here: Entry | None = entry
        while here is not None and waiting.pop(here.hr_id, None) is not None:
            chain.append(here)
            here = waiting.get(here.supervisor or "")
        ordered += reversed(chain)
    return ordered


def place_heads(entries: Iterable[Entry], known: Iterable[str]) -> list[Fault]:
    """Make whole paths of the units that somebody heads or stands in for."""
    entries = list(entries)
    paths = set(known) | {path for entry in entries for path in prefixes(entry.unit)}
    last: dict[str, str] = {}
    for path in paths:
        name = path.rpartition(" / ")[2]
        last[name] = "" if name in last else path
    faults = []
    for entry in entries:
        for column, field in (("head_of", "head_of"), ("acting_unit", "acting_unit")):
            said = getattr(entry, field)
            found = said if said in paths else last.get(said, "")
            if said and not found:
                faults.append(Fault(entry.row, "head", column))
            setattr(entry, field, found)
    return faults


def prefixes(path: str) -> Iterator[str]:
    """A unit and all above it, from the top down."""
    levels = path.split(" / ")
    return (" / ".join(levels[:n]) for n in range(1, len(levels) + 1))
