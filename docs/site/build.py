"""Put the documentation site together: stage the pages, run the tutorials, write the reference, let MkDocs build it.

    python docs/site/build.py

The site has the folders of the repository, so that a link holds in both. The pages are staged in `build/docs`, the
tutorials run in `build/tutorials`, and the site is in `build/site`. A tutorial that fails, a link that leads nowhere
and a name without a docstring stop it.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
import time
from fnmatch import fnmatch
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

REPOSITORY = Path(__file__).parents[2]
STAGE = REPOSITORY / "build" / "docs"
SITE = REPOSITORY / "build" / "site"
FOLDERS = ("docs", "bundles", "datasets", "benchmarks", "tests", "monai_unet", "docker")
SHOWN = (".md", ".png", ".py", ".json", ".yaml", ".yml", ".txt", ".conf", ".toml")
HIDDEN = ("bundles/*/output", "bundles/*/docs/trial", "datasets/*/data", "docs/site", "*/__pycache__")
PACKAGES = {
    "shipped": "the bundles that come with the package",
    "recipes.create": "a bundle for one's own images",
    "prediction.out_of_core": "images of any size, from file to file",
    "export.export": "the network for other programs",
    "networks": "the network",
    "inferers": "overlap tiles",
    "transforms": "weight map, augmentation, objects",
    "losses": "what is minimised",
    "metrics": "the challenges' scores",
    "handlers": "for Ignite's engines",
    "data": "data sets",
    "io": "files",
    "geometry": "sizes, margins and the lattice",
}
_TUTORIAL = re.compile(r"(\]\((?:docs/)?tutorials/\w+)\.py\)")


def stage() -> None:
    """Copy what the site shows, each file to its own place; links to a tutorial lead to its notebook."""
    shutil.rmtree(STAGE, ignore_errors=True)
    for path in [*REPOSITORY.glob("*"), *(file for folder in FOLDERS for file in (REPOSITORY / folder).rglob("*"))]:
        within = path.relative_to(REPOSITORY)
        hidden = any(fnmatch(part.as_posix(), each) for part in (within, *within.parents) for each in HIDDEN)
        if path.is_file() and not hidden and (path.suffix in SHOWN or path.name == "LICENSE"):
            place = STAGE / within
            place.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".md":
                place.write_text(_TUTORIAL.sub(r"\1.ipynb)", path.read_text("utf-8")), "utf-8")
            else:
                shutil.copyfile(path, place)


def run_tutorials() -> None:
    """Run each tutorial from its first cell to its last, in an empty folder, and keep what it printed and drew."""
    import jupytext
    from nbclient import NotebookClient

    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # for monai-unet
    for path in sorted((REPOSITORY / "docs" / "tutorials").glob("*.py")):
        folder = REPOSITORY / "build" / "tutorials" / path.stem
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        notebook = jupytext.read(path)
        began = time.monotonic()
        client = NotebookClient(notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": folder}})
        client.execute()
        place = STAGE / "docs" / "tutorials" / f"{path.stem}.ipynb"
        place.parent.mkdir(parents=True, exist_ok=True)
        jupytext.write(notebook, place)
        print(f"{path.relative_to(REPOSITORY)}: ran in {time.monotonic() - began:.0f} s", flush=True)


def write_reference() -> None:
    """A page for each package of `PACKAGES`, with its public names.

    Raises:
        ValueError: for a public class or function without a docstring.
    """
    place = STAGE / "docs" / "reference"
    place.mkdir(parents=True)
    lines = ["# API", "", "| module | what for |", "|---|---|"]
    for name, purpose in PACKAGES.items():
        module = importlib.import_module(f"monai_unet.{name}")
        public = _public(module)
        undocumented = [each for each in public if not inspect.getdoc(getattr(module, each))]
        if undocumented:
            raise ValueError(f"monai_unet.{name}: no docstring: {', '.join(undocumented)}")
        entries = "\n\n".join(f"::: monai_unet.{name}.{each}" for each in public)
        (place / f"{name}.md").write_text(f"# monai_unet.{name}\n\n{inspect.getdoc(module)}\n\n{entries}\n", "utf-8")
        lines.append(f"| [monai_unet.{name}]({name}.md) | {purpose} |")
    (place / "index.md").write_text("\n".join(lines) + "\n", "utf-8")


def _public(module: ModuleType) -> list[str]:
    """The classes and functions of a module that are for others: those that it lists, else those that it defines."""
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ and not name.startswith("_")
    ]
    return [
        each for each in names if inspect.isclass(getattr(module, each)) or inspect.isfunction(getattr(module, each))
    ]


class _Links(HTMLParser):
    """The links of a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Collect what a tag leads to."""
        self.links += [value for name, value in attributes if name in ("href", "src") and value]


def dead_links() -> list[str]:
    """The links of the built site that lead to no file of it; MkDocs looks at those within Markdown's pages alone."""
    dead = []
    for page in SITE.rglob("*.html"):
        for link in _Links(page).links if page.name != "404.html" else ():  # whose links begin at the server's root
            parts = urlsplit(link)
            if not (parts.scheme or parts.netloc) and parts.path and not (page.parent / unquote(parts.path)).is_file():
                dead.append(f"{page.relative_to(SITE)}: {link}")
    return dead


def main() -> int:
    """Build the site; the exit code."""
    stage()
    write_reference()
    run_tutorials()
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--config-file"]
    code = subprocess.run([*command, REPOSITORY / "docs" / "site" / "mkdocs.yml"], check=False).returncode
    if code != 0:
        return code
    if dead := dead_links():
        print("links that lead nowhere:", *dead, sep="\n", file=sys.stderr)
        return 1
    print(f"site: {SITE / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
