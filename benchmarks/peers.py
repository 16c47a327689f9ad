"""Look up in the published packages of other projects what docs/compare.md says of them.

The packages are downloaded from PyPI without what they depend on, and only read, never run. The page gives file and
line of each fact; one that is not found any more stops the script.

python benchmarks/peers.py --out benchmarks/results/peers_2026-11.md
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import yaml
from _measure import publish

FACTS = Path(__file__).with_suffix(".yaml")


def download(requirement: str, folder: Path) -> Path:
    """The wheel of `name==version`, from PyPI or where pip is told to look."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", requirement]
    subprocess.run([*command, "--dest", str(folder)], check=True)
    return next(folder.glob("*.whl"))


def num_versions(package: str) -> int:
    """How many versions of a package there are for this Python."""
    command = [sys.executable, "-m", "pip", "index", "versions", package]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return listed.split("Available versions:")[1].splitlines()[0].count(",") + 1


def where(wheel: zipfile.ZipFile, fact: dict[str, str]) -> str:
    """File and line that show a fact, or how many files were searched for what is not there.

    Raises:
        LookupError: when the package does not show it.
    """
    if "nowhere" in fact:
        names = [name for name in wheel.namelist() if name.endswith(".py")]
        for name in names:
            if line := line_of(wheel, name, fact["nowhere"]):
                raise LookupError(f"{name}:{line} has what should be nowhere, {fact['nowhere']}")
        return f"no match of `{fact['nowhere'].replace('|', chr(92) + '|')}` in {len(names)} Python files"
    if line := line_of(wheel, fact["file"], fact["pattern"]):
        return f"`{fact['file']}:{line}`"
    raise LookupError(f"{fact['file']} has no line with {fact['pattern']}")


def line_of(wheel: zipfile.ZipFile, name: str, pattern: str) -> int:
    """Number of the first line that matches, 0 for none."""
    lines = wheel.read(name).decode("utf-8").splitlines()
    return next((number for number, line in enumerate(lines, 1) if re.search(pattern, line)), 0)


def main() -> None:
    """Look all facts up, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    text = [
        "# Other packages, looked up in their source code",
        "",
        f"- Command: `python benchmarks/peers.py`; the facts are in [peers.yaml](../{FACTS.name})",
        f"- Date: {datetime.date.today()}",
        "- The wheels are those on PyPI, unpacked and searched. Lines are those of the version named, so",
        "  that anybody can look them up: `pip download --no-deps NAME==VERSION`, then unzip",
    ]
    missing = []
    for requirement, facts in yaml.safe_load(FACTS.read_text(encoding="utf-8")).items():
        package, version = requirement.split("==")
        text += ["", f"## [{package} {version}](https://pypi.org/project/{package}/{version}/)", ""]
        text += ["| fact | where |", "|---|---|"]
        text.append(f'| <a id="{package}-versions"></a>{num_versions(package)} versions | `pip index versions` |')
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(download(requirement, Path(folder))) as wheel:
            for name, fact in facts.items():
                try:
                    text.append(f'| <a id="{package}-{name}"></a>{fact["says"]} | {where(wheel, fact)} |')
                except LookupError as error:
                    missing.append(f"{package} {version}, {name}: {error}")
    if missing:
        sys.exit("not found:\n" + "\n".join(missing))
    publish(text, args.out)


if __name__ == "__main__":
    main()
