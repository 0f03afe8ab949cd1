"""The floors of docs/architecture.md, held against the code's own imports."""

import ast
from pathlib import Path

import phalanx

ROOT = Path(phalanx.__file__).parent
# From the ground up; a room may import rooms on its own floor and below.
FLOORS = [
    {"_outcome", "_jax_guard", "_unfinished"},
    {"_types"},
    {"_cores", "_files", "_linalg", "_random", "_xla"},
    {"_sealed"},
    {"_record", "systems"},
    {"costs", "policies", "disturbances"},
    {"simulation", "online"},
    {"equilibria"},
    {"evaluation"},
    {"learners"},
    {"scenarios", "testing"},
    {"experiments"},
    {"report"},
    {"cli"},
]
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def imports() -> dict[str, set[str]]:
    """Module → the phalanx modules it imports, anywhere in the file."""
    names = {path: module(path) for path in ROOT.rglob("*.py")}
    out = {}
    for path, name in names.items():
        found = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.ImportFrom)
                and node.module
                and node.module.startswith("phalanx")
            ):
                found.add(node.module)
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
        out[name] = {f for f in found if f in names.values() and f != name}
    return out


def module(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def room(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def test_every_room_has_a_floor():
    rooms = {room(name) for name in imports()} - {""}
    assert rooms == set(LEVEL)


def test_no_import_points_up():
    up = [
        f"{source} imports {target}"
        for source, targets in imports().items()
        for target in targets
        if room(source) and room(target) and LEVEL[room(target)] > LEVEL[room(source)]
    ]
    assert up == []


def test_no_modules_import_each_other_in_a_circle():
    graph = {
        name: {t for t in targets if t != "phalanx" and not name.startswith(f"{t}.")}
        for name, targets in imports().items()
        if name != "phalanx"
    }
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join((*path, name))
        if name not in done:
            for target in graph[name]:
                visit(target, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_the_report_knows_records_only():
    above_ground = {"_record", "_files", "_outcome", "_types", "report", ""}
    reads = {room(t) for s, ts in imports().items() if room(s) == "report" for t in ts}
    assert reads <= above_ground


def test_disturbances_never_import_equilibria():
    reads = {room(t) for s, ts in imports().items() if room(s) == "disturbances" for t in ts}
    assert "equilibria" not in reads
