"""The tables of a scenario file, and a sentence for every way in which one can be wrong.

pydantic checks the structure (which tables, which keys, which kinds of value) of every kind of
scenario; what it finds is said here in words that name the table and the key as they are written in
the file: `[cost] Q`, or `[agent.cost] Q of agent 2` in an array of tables.
"""

import difflib
from collections.abc import Iterator
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from phalanx._outcome import InputError


class Table(BaseModel):
    """A table that knows all its keys."""

    model_config = ConfigDict(extra="forbid", strict=True)


File = TypeVar("File", bound=Table)


def validated(file: type[File], content: dict[str, Any]) -> File:
    """The file's content as typed tables.

    Args:
        file: the table of tables that a whole file is.
        content: as the TOML reader left it.

    Raises:
        InputError: one sentence about the first key that is unknown, missing or of the wrong kind.
    """
    try:
        return file.model_validate(content)
    except ValidationError as error:
        # A misspelt key is why another one is missing: say that first.
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        raise InputError(_sentence(first, file)) from None


def check_keys(
    where: str, kind: str, given: dict[str, Any], needed: tuple[str, ...], allowed: tuple[str, ...]
) -> None:
    """That a table of this kind has the keys it needs and none of another kind's.

    Args:
        where: the table, as in a sentence.
        kind: which of its kinds it is.
        given: the keys that are there, besides those that all kinds share.
        needed: keys of this kind that must be there.
        allowed: keys of this kind that may be.

    Raises:
        InputError: naming the first key that is out of place or missing.
    """
    for key in given:
        if key not in (*needed, *allowed):
            raise InputError(
                f"the key {key!r} in {where} does not belong to kind {kind!r}, which takes {listed((*needed, *allowed))}."
            )
    for key in needed:
        if key not in given:
            raise InputError(f"the key {key!r} is missing in {where}; kind {kind!r} needs it.")


def listed(words: tuple[str, ...]) -> str:
    """'a', 'b' and 'c'."""
    return " and ".join(filter(None, (", ".join(map(repr, words[:-1])), repr(words[-1]))))


_WANTED = {
    "model_type": "a table",
    "list_type": "a list",
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
}


def _sentence(error: Any, file: type[Table]) -> str:
    names: list[str] = []
    table, which, rest = file, "", list(error["loc"])
    # The last part is a key, unless a table itself is not one.
    while rest and (isinstance(rest[0], int) or _inner(table, rest[0])):
        part = rest[0]
        if isinstance(part, int):
            which = f" of {names[-1]} {part}"
        else:
            if len(rest) == 1 and error["type"] == "missing":
                break
            table, names = _inner(table, part) or table, [*names, str(part)]
        rest = rest[1:]
    place = f"[{'.'.join(names)}]"
    inside = f" in {place}{which}" if names else ""
    if error["type"] == "extra_forbidden":
        near = nearest(str(rest[0]), sorted(table.model_fields))
        return f"unknown key {rest[0]!r}{inside}; the nearest known key is {near!r}."
    if error["type"] == "missing":
        if _inner(table, rest[0]) is None:
            return f"the key {rest[0]!r} is missing{inside}."
        return f"the table [{'.'.join([*names, str(rest[0])])}]{which} is missing."
    name = place if names else ""
    if rest:
        # What follows the key is a place in a list, or pydantic's name for one kind of number.
        places = "".join(f"[{part}]" for part in rest[1:] if isinstance(part, int))
        name = f"{name} {rest[0]}{places}".strip()
    wanted = error.get("ctx", {}).get("expected") or _WANTED.get(error["type"])
    must = f"must be {wanted}, but it" if wanted else f"does not fit ({error['msg']}): it"
    return f"{name}{which} {must} is {error['input']!r}."


def _inner(table: type[Table], key: Any) -> type[Table] | None:
    """The table, or the array of tables, that a key of `table` stands for."""
    field = table.model_fields.get(key)
    if field is None:
        return None
    return next((t for t in _types(field.annotation) if issubclass(t, Table)), None)


def _types(annotation: Any) -> Iterator[type]:
    parts = get_args(annotation)
    if not parts and isinstance(annotation, type):
        yield annotation
    for part in parts:
        yield from _types(part)


def nearest(key: str, known: list[str]) -> str:
    """The known key most like `key`; upper and lower case are alike unless that leaves a choice."""

    def likeness(candidate: str) -> tuple[float, float]:
        def ratio(a: str, b: str) -> float:
            return difflib.SequenceMatcher(None, a, b).ratio()

        return ratio(key.lower(), candidate.lower()), ratio(key, candidate)

    return max(known, key=likeness)
