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


def shape(value: object, path: str, rows: dict[str, str]) -> None:
    """Paths of a JSON value with their types."""
    if isinstance(value, dict):
        for key, inner in value.items():
            shape(inner, f"{path}.{key}" if path else key, rows)
    elif isinstance(value, list):
        rows.setdefault(path or "(the whole)", "list")
        for inner in value[:3]:
            shape(inner, f"{path}[]", rows)
    else:
        kind = {bool: "true or false", int: "number", float: "number", str: "text"}.get(type(value), "null")
        if rows.get(path, "null") == "null":
            rows[path] = kind


def schemas() -> str:
    """The schema of campaign files, and the shapes of the files of which older versions are kept for tests."""
    parts = [
        "# Schemas\n\nThe campaign file's JSON schema is [campaign.schema.json](campaign.schema.json) (`cleanloop schema`).",
        "The tables below list what the other formats hold, from the files in `tests/data/formats`, which every later "
        "version has to write as well; `null`: not known in these files.\n",
    ]
    for path in sorted((ROOT / "tests/data/formats").glob("*.json")):
        rows: dict[str, str] = {}
        shape(json.loads(path.read_text()), "", rows)
        table = "\n".join(f"| `{key}` | {kind} |" for key, kind in rows.items())
        parts.append(f"## {path.stem}\n\n| key | type |\n|---|---|\n{table}\n")
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
    (reference / "schemas.md").write_text(schemas())
    (reference / "campaign.schema.json").write_text(said(program, "schema"))
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
