"""Imports point down the floors, which docs/architecture.md lists, and no module imports itself through others."""

import ast
import graphlib
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PAGE = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
FLOORS = {
    room: int(number)
    for number, rooms in re.findall(
        r"^(\d) +(.+)$", re.search(r"```floors\n(.*?)```", PAGE, re.DOTALL)[1], re.MULTILINE
    )
    for room in rooms.split()
}


def imported():
    """For each module of the package, the modules of the package that it imports, wherever it does."""
    files = {
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts): path
        for path in (REPOSITORY / "monai_unet").rglob("*.py")
    }
    modules = {name.removesuffix(".__init__"): path for name, path in files.items()}
    found = {}
    for name, path in modules.items():
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        froms = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
        names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        names += [f"{node.module}.{alias.name}" for node in froms for alias in node.names]
        names += [node.module for node in froms if not any(f"{node.module}.{a.name}" in modules for a in node.names)]
        found[name] = {each for each in names if each in modules and each != "monai_unet"}
    return found


def room(module):
    return module.split(".")[1]


def test_every_room_of_the_package_is_on_a_floor():
    assert set(FLOORS) == {room(module) for module in imported() if module != "monai_unet"}


def test_imports_point_down_the_floors():
    upward = [
        f"{module} imports {other}"
        for module, others in imported().items()
        for other in others
        if room(module) != room(other) and FLOORS[room(module)] <= FLOORS[room(other)]
    ]
    assert upward == []


def test_no_module_imports_itself_through_others():
    in_order = list(graphlib.TopologicalSorter(imported()).static_order())  # raises CycleError naming a circle
    assert set(in_order) >= set(imported())
