"""What the site's build does besides mkdocs: equations are fenced blocks, KaTeX's files come from its package."""

import html
import importlib.util
import logging
import re
from pathlib import Path

import equations
from mkdocs.structure.files import File

KATEX = "katex.min.js", "katex.min.css"
LOG = logging.getLogger("mkdocs.jaxsim")


def on_config(config):
    """Has fenced blocks named `equation` written by `equation`."""
    fence = {"name": "equation", "class": "equation", "format": equation}
    config.mdx_configs.setdefault("pymdownx.superfences", {})["custom_fences"] = [fence]
    return config


def equation(source, language, css_class, options, md, **_):
    """An equation as readable text with its TeX, which equations.js sets where KaTeX is."""
    tex = html.escape(equations.tex(source))
    return f'<div class="equation" data-tex="{tex}">{html.escape(source)}</div>'


def on_files(files, config):
    """Adds the files of KaTeX to the site, where its package is installed."""
    folder = katex()
    if folder is None:
        LOG.info("equations stay text: pip install --no-deps djangocms-katex brings KaTeX")
        return files
    for path in [*(folder / name for name in KATEX), *sorted((folder / "fonts").glob("*.woff2"))]:
        place = f"assets/katex/{path.relative_to(folder).as_posix()}"
        files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


# A loss of a page that catalog.py writes, up to what peers call it.
ENTRY = re.compile(
    r"^### \w+\n\n<!-- (jaxsim\.[\w.]+) -->\n.*?^<!-- end -->$", re.MULTILINE | re.DOTALL
)


def on_page_markdown(markdown, **_):
    """Replaces the summary of each loss by its whole docstring, with its signature."""

    def whole(entry):
        options = "show_root_heading: true\n      show_root_toc_entry: true\n      heading_level: 3"
        place = entry[1].rpartition(".")[2].lower()
        return f'<a id="{place}"></a>\n\n::: {entry[1]}\n    options:\n      {options}'

    return ENTRY.sub(whole, markdown)


def katex():
    """The folder of KaTeX's files, of the package that carries them; None where it is not installed."""
    package = importlib.util.find_spec("djangocms_katex")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "static" / "djangocms_katex" / "vendor" / "katex"
