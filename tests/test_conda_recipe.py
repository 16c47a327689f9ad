"""The recipe for conda-forge, read by conda-forge's own builder, against what the package asks PyPI for."""

import re
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
rattler_build = pytest.importorskip("rattler_build", reason="needs py-rattler-build")

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
CONDA_NAMES = {"torch": "pytorch", "pytorch-ignite": "ignite", "matplotlib": "matplotlib-base"}


@pytest.fixture(scope="module")
def recipe():
    (variant,) = rattler_build.Stage0Recipe.from_file(REPOSITORY / "recipe" / "recipe.yaml").render()
    return variant.recipe.to_dict()


def asked(requirements):
    """The oldest version of each package, by conda-forge's name."""
    found = {}
    for requirement in requirements:
        name, oldest = re.fullmatch(r"([\w-]+)\s*>=([\d.]+).*", requirement).groups()
        found[CONDA_NAMES.get(name, name).lower()] = oldest
    return found


def test_it_is_of_this_version(recipe):
    assert recipe["package"] == {"name": PROJECT["project"]["name"], "version": PROJECT["project"]["version"]}


def test_it_asks_for_what_the_package_asks_for(recipe):
    python, *others = recipe["requirements"]["run"]
    assert python == "python >=3.11"
    assert asked(others) == asked(PROJECT["project"]["dependencies"])


def test_it_is_built_with_what_the_package_is_built_with(recipe):
    python, pip, *others = recipe["requirements"]["host"]
    assert (python, pip) == ("python 3.11.*", "pip")
    assert asked(others) == asked(PROJECT["build-system"]["requires"])


def test_it_has_the_packages_command(recipe):
    entries = dict(entry.split(" = ") for entry in recipe["build"]["python"]["entry_points"])
    assert entries == PROJECT["project"]["scripts"]
