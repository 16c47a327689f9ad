"""The HTML of a page from one of the templates beside this file; `head.html` is what all of them begin with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources


def fill(template: str, values: Mapping[str, object], filters: Mapping[str, Callable] | None = None) -> str:
    """A template with its names replaced by values, which are escaped.

    Args:
        template: the name of a file beside this one.
        values: by the template's names, each of which has to be there.
        filters: of the template, by their names.
    """
    import jinja2  # a dependency of torch too; needed where a page is written only

    folder = resources.files("monai_unet.report")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(filters or {})
    return environment.get_template(template).render(values)
