#!/usr/bin/env python3
"""Builds the documentation's site.

usage: docs.py CLEANLOOP MDBOOK FOLDER

Collects docs/ in FOLDER/src, adds the reference that the program writes about itself (help of every command, schemas) and
the page of measurements, builds FOLDER/site with mdBook, and checks that every link leads somewhere. The exit code is 1
when one does not.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def said(program: str, *words: str) -> str:
    """What a command prints."""
    return subprocess.run([program, *words], check=True, capture_output=True, text=True, env={"COLUMNS": "110"}).stdout


def commands(program: str) -> str:
    """The help of every command, in the order of the program's own list."""
    listed = said(program, "--help")
    names = re.findall(r"^  ([a-z]+)  +\S", listed.split("\nOptions:")[0], re.M)
    parts = ["# Commands\n\nWritten by the program itself: `cleanloop COMMAND --help`.\n", f"```text\n{listed}```\n"]
    for name in names:
        parts.append(f"## {name}\n\n```text\n{said(program, name, '--help').rstrip()}\n```\n")
    return "\n".join(parts)


# What has a schema besides the campaign file, with what it is the schema of.
FORMATS = {
    "record": "`DIR/record.json` and `cleanloop status DIR --json`",
    "summary": "`DIR/report/summary.json`",
    "metrics": "`cleanloop metrics --json`",
    "confetti": "`cleanloop confetti --json`",
    "inspect": "`cleanloop inspect --json`",
    "doctor": "`cleanloop doctor --json`",
    "events": "a line on standard error with `--log-format json`",
    "journal": "a line of `DIR/journal.jsonl`",
}


def kind(schema: object, page: str) -> str:
    """The type of a value, in few words."""
    if not isinstance(schema, dict):
        return "anything"
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{page}-{name.lower()})"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(kind(branch, page) for branch in schema[key]))
    words = []
    for name in schema["type"] if isinstance(schema.get("type"), list) else [schema.get("type", "anything")]:
        if name == "array":
            items = schema.get("items", schema.get("prefixItems", [True])[0])
            words.append(f"list of {kind(items, page)}")
        elif name == "object" and isinstance(schema.get("additionalProperties"), dict):
            words.append(f"object, name to {kind(schema['additionalProperties'], page)}")
        else:
            words.append({"boolean": "true or false", "string": "text"}.get(name, name))
    return " or ".join(words)


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def keys(schema: dict, page: str) -> list[str]:
    """Rows of a table of keys."""
    required = set(schema.get("required", []))
    rows = []
    for key, inner in schema.get("properties", {}).items():
        meaning = inner.get("description", "") if isinstance(inner, dict) else ""
        always = "" if key in required else "; may be absent"
        rows.append(f"| `{key}` | {cell(kind(inner, page) + always)} | {cell(meaning)} |")
    return rows


def described(schema: dict, page: str) -> str:
    """What a schema says, without its title."""
    parts = [schema.get("description", "").strip()]
    head = "| key | value | meaning |\n|---|---|---|\n"
    rows = keys(schema, page)
    if rows:
        parts.append(head + "\n".join(rows))
    lines = []
    for branch in [*schema.get("oneOf", []), *schema.get("anyOf", [])]:
        if "properties" in branch:
            lines.append(f"{branch.get('description', '')}\n\n{head}" + "\n".join(keys(branch, page)) + "\n")
        elif "not" not in branch:
            lines.append(f"- {kind(branch, page)}: {cell(branch.get('description', ''))}".rstrip(": "))
    if lines:
        parts.append("\n".join(lines))
    if not rows and not lines:
        parts.append(kind(schema, page))
    return "\n\n".join(part for part in parts if part)


def schemas(program: str, reference: Path) -> str:
    """The schemas of everything that is read or written, as files, and a page that tells their keys."""
    (reference / "campaign.schema.json").write_text(said(program, "schema"))
    parts = [
        "# Schemas\n\n`cleanloop schema FORMAT` prints the JSON schema (draft 2020-12) of a format; the files are here, too. That "
        "of the campaign file is [campaign.schema.json](campaign.schema.json) (`cleanloop schema`), its keys are explained "
        "[on a page of their own](../campaign.md). What holds for all the others: [formats for scripts](../formats.md).\n",
    ]
    for name, what in FORMATS.items():
        text = said(program, "schema", name)
        (reference / f"{name}.schema.json").write_text(text)
        schema = json.loads(text)
        parts.append(f"## {name}\n\n{what}: [{name}.schema.json]({name}.schema.json)\n\n{described(schema, name)}\n")
        for inner, definition in schema.get("$defs", {}).items():
            parts.append(f'### {inner} {{#{name}-{inner.lower()}}}\n\n{described(definition, name)}\n')
    return "\n".join(parts)


def trust() -> str:
    """What was measured against what, from the benchmarks' machine-readable results."""
    ratios = json.loads((ROOT / "benches/ratios.json").read_text())
    groups: dict[str, list[tuple[str, float]]] = {}
    for key, ratio in ratios.items():
        group, rest = key.split(" / ", 1)
        groups.setdefault(group, []).append((rest, ratio))
    text = (ROOT / "docs/trust.md").read_text()
    tables = []
    for group, rows in groups.items():
        lines = "\n".join(f"| {name.replace('|', ', ')} | {ratio:g} |" for name, ratio in rows)
        tables.append(f"### {group}\n\n| measured | ratio |\n|---|---|\n{lines}\n")
    return text.replace("<!-- ratios -->", "\n".join(tables))


def collect(program: str, source: Path) -> None:
    """Puts all pages into one folder."""
    shutil.copytree(ROOT / "docs", source, ignore=shutil.ignore_patterns("book.toml", "trust.md"))
    shutil.copytree(ROOT / "examples", source / "examples")
    shutil.copytree(ROOT / "pipelines", source / "pipelines")
    reference = source / "reference"
    reference.mkdir()
    (reference / "commands.md").write_text(commands(program))
    (reference / "schemas.md").write_text(schemas(program, reference))
    (reference / "trust.md").write_text(trust())
    readme = (ROOT / "README.md").read_text()
    (source / "README.md").write_text(re.sub(r"\]\(docs/", "](", readme))
    for page in source.glob("*.md"):
        # Beside the pages here, one above them in the repository.
        page.write_text(page.read_text().replace("](../examples/", "](examples/").replace("](../pipelines/", "](pipelines/"))
    for page in (source / "guides").glob("*.md"):
        page.write_text(page.read_text().replace("](../../", "](../"))


def broken_links(site: Path) -> list[str]:
    """Links of the built pages that lead nowhere."""
    found = []
    pages = {page: page.read_text() for page in site.rglob("*.html") if page.name not in ("print.html", "toc.html")}
    anchors = {page: set(re.findall(r'\bid="([^"]+)"', text)) for page, text in pages.items()}
    for page, text in pages.items():
        if page.name == "404.html":
            continue
        for link in re.findall(r'(?:href|src)="([^"]+)"', text):
            if re.match(r"[a-z]+:|//", link):
                continue
            path, _, part = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if target.is_dir():
                target = target / "index.html"
            if not target.exists():
                found.append(f"{page.relative_to(site)}: {link}: no such file")
            elif part and target in anchors and part not in anchors[target]:
                found.append(f"{page.relative_to(site)}: {link}: no such place")
    return sorted(set(found))


def main() -> int:
    """Builds and checks the site."""
    program, mdbook, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3]).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    collect(program, folder / "src")
    shutil.copy(ROOT / "docs/book.toml", folder / "book.toml")
    subprocess.run([mdbook, "build", "--dest-dir", str(folder / "site"), str(folder)], check=True)
    broken = broken_links(folder / "site")
    for line in broken:
        print(line)
    pages = len(list((folder / "site").rglob("*.html")))
    print(f"{folder / 'site/index.html'}: {pages} pages, {len(broken)} links lead nowhere")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
