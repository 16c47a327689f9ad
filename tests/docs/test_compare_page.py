"""The comparison with other projects: every answer can be checked."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "compare.md"
TEXT = PAGE.read_text(encoding="utf-8")
LOOKED_UP = next((ROOT / "benchmarks" / "results").glob("peers_*.md")).read_text(encoding="utf-8")
FACTS = yaml.safe_load((ROOT / "benchmarks" / "peers.yaml").read_text(encoding="utf-8"))
ROWS = [line.strip("| ").split(" | ") for line in TEXT.splitlines() if line.startswith("| ")]
ANSWERS = [cell for row in ROWS if "](" in "".join(row) for cell in row[1:]]
LINKS = re.findall(r"\]\(([^)\s]+)\)", TEXT)


def test_every_answer_links_to_what_shows_it():
    assert len(ANSWERS) > 100
    assert [cell for cell in ANSWERS if "](" not in cell] == []


def test_every_row_of_answers_has_all_projects_or_all_columns():
    projects = ["monai-unet", "BiaPy", "nnU-Net", "torch-em", "Cellpose", "MONAI"]
    tables = [table for table in TEXT.split("\n## ") if "| project |" in table]
    assert len(tables) == 15  # the versions, and fourteen questions
    for table in tables:
        named = [line.strip("| ").split(" | ")[0] for line in table.splitlines() if line.startswith("| ")][1:]
        assert [name.split(",")[0].removesuffix(" zoo") for name in named] == projects, table.splitlines()[0]


def test_links_into_the_project_lead_to_files():
    inside = {link.split("#")[0] for link in LINKS if not link.startswith("https://")}
    assert [link for link in inside if not (PAGE.parent / link).exists()] == []


def test_facts_of_source_code_are_those_that_the_script_looks_up():
    looked_up = {f"{name.split('==')[0]}-{fact}" for name, facts in FACTS.items() for fact in facts}
    versions = {f"{name.split('==')[0]}-versions" for name in FACTS}
    cited = {link.split("#")[1] for link in LINKS if "/peers_" in link and "#" in link}
    assert cited - versions == looked_up
    assert set(re.findall(r'<a id="([^"]+)">', LOOKED_UP)) == looked_up | versions


def test_the_numbers_of_versions_are_those_that_the_script_found():
    shown = re.findall(r"\[(\d+)\]\(\S+#(\w+)-versions\)", TEXT)
    assert len(shown) == 5
    assert all(f'<a id="{name}-versions"></a>{number} versions' in LOOKED_UP for number, name in shown)


def test_the_versions_are_those_of_the_source_code_that_was_read():
    shown = set(re.findall(r"https://pypi\.org/project/([\w-]+)/([\d.]+)/", TEXT))
    read = {tuple(name.split("==")) for name in FACTS}
    assert read - shown == {("dynamic_network_architectures", "0.4.4")}  # nnU-Net's networks
    assert {package for package, _ in shown - read} == {"monailabel"}  # its page, not its source
