"""Docstrings as Markdown for the site: equations, arguments, results, errors and sources each in their place.

What docstrings look like, and what becomes of it:

    an indented block                        mathematics (equations.py), or code
    Args:, Attributes:, another title:       a list of names with their texts; names in groups stay together
    Examples:                                code as in a session
    Returns: text, Raises: text, Source:     a list of fields
    `name`                                   a link, where it is a public name
"""

import re
import textwrap

import equations

ORDER = ["Returns", "Yields", "Raises", "Source", "Licence", "Data", "Kind", "Memory"]
FIELD = re.compile(rf"({'|'.join(ORDER)}): (.*)")
TITLE = re.compile(r"([A-Z][^.:`]{2,60}):$")
ENTRY = re.compile(r"(\*{0,2}[\w\"][\w\"., *()]*?): (.*)")
SHARED = re.compile(r"What every loss over (\w+) takes:$")


def markdown(text, *, defaults=None, link=None):
    """The Markdown of a docstring.

    Args:
      text: the docstring, without the indentation of its code.
      defaults: {argument: its default as code}, shown next to the name.
      link: (name) -> what a name in backticks links to, or None.
    """
    lines, output = text.splitlines(), []
    fields = []
    while lines:
        line = lines[0]
        if field := FIELD.match(line):
            following, lines = paragraph(lines[1:])
            fields.append((field[1], " ".join([field[2], *following])))
            continue
        if shared := SHARED.match(line):
            _, lines = indented(lines[1:])
            # The list is the same for all losses: it has a page.
            output += [
                f"And [what every loss over {shared[1]} takes][over-{shared[1]}].",
                "",
            ]
        elif (title := TITLE.match(line)) and lines[1:] and lines[1].startswith("  "):
            block, lines = indented(lines[1:])
            output += section(title[1], block, defaults or {})
        elif line.startswith("    ") and (not output or not output[-1].strip()):
            block, lines = indented(lines)
            output += [*fence(textwrap.dedent("\n".join(block))), ""]
        else:
            output.append(line)
            lines = lines[1:]
    if fields:
        output += definitions("fields", sorted(fields, key=lambda field: ORDER.index(field[0])))
    return linked("\n".join(output), link) if link else "\n".join(output)


def paragraph(lines):
    """The lines up to an empty one, a field or a title, and what follows."""
    for number, line in enumerate(lines):
        if not line.strip() or FIELD.match(line) or SHARED.match(line):
            return [text.strip() for text in lines[:number]], lines[number:]
    return [text.strip() for text in lines], []


def indented(lines):
    """The indented lines, with the empty ones between them, and what follows."""
    end = 0
    for number, line in enumerate(lines):
        if line.strip() and not line.startswith("  "):
            break
        if line.strip():
            end = number + 1
    return lines[:end], lines[end:]


def section(title, block, defaults):
    """A titled block: a session, a list of names with their texts, or what it was."""
    block = textwrap.dedent("\n".join(block)).splitlines()
    if title in ("Example", "Examples"):
        return ["", "```pycon", *block, "```", ""]
    entries = []
    for line in block:
        entry = not line.startswith(" ") and ENTRY.match(line)
        if entry:
            names = ", ".join(named(name, defaults) for name in entry[1].split(", "))
            entries.append((names, entry[2]))
        elif entries:
            entries[-1] = (entries[-1][0], f"{entries[-1][1]} {line.strip()}")
        else:
            return [f"{title}:", "", *block, ""]
    heading = "Arguments" if title == "Args" else title
    return ["", f"**{heading}**", "", *definitions("arguments", entries)]


def named(name, defaults):
    """An argument as code, with its default in small letters."""
    default = defaults.get(name.lstrip("*"))
    return f"`{name}`" + (f" <small>= `{default}`</small>" if default else "")


def definitions(kind, entries):
    """A list of terms and their texts."""
    lines = [f'<div class="{kind}" markdown>', ""]
    for term, text in entries:
        lines += [term, f":   {text}", ""]
    return ["", *lines, "</div>", ""]


def fence(block):
    """An indented block as what it is."""
    if equations.is_equation(block):
        return ["", "```equation", block, "```"]
    code = re.search(r"[@=]|\w\(", block) and not re.search(
        r"->|^python |^\s*--", block, re.MULTILINE
    )
    return ["", "```python" if code else "```text", block, "```"]


def linked(text, link):
    """The text with a link at every public name in backticks, outside of code."""

    def with_target(name):
        target = link(name[1])
        return f"[`{name[1]}`][{target}]" if target else name[0]

    parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(
        part if part.startswith("```") else re.sub(r"(?<!\[)`([A-Za-z_][\w.]*)`", with_target, part)
        for part in parts
    )
