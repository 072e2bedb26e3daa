"""Tasks that are imported when they are used."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

WORKERS = Path(__file__).parent.parent

# Stands in for CASA's package, which need not be installed here: what its own __init__ would import fails.
PACKAGE = {
    "__init__.py": "raise RuntimeError('all tasks at once')",
    "one.py": "from casatasks import two\n\ndef one():\n    return two() + 1\n",
    "two.py": "def two():\n    return 2\n",
    "broken.py": "import no_such_library\n",
    "private/__init__.py": "",
    "private/helper.py": "from casatasks import one\n\ndef help():\n    return one()\n",
}


@pytest.fixture
def run(tmp_path: Path):
    """Runs lines of Python in a fresh process that has the package; returns what they print."""
    for name, text in PACKAGE.items():
        path = tmp_path / "casatasks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    begin = "from cleanloop_worker import casa_tasks\ncasa_tasks.import_when_used()\n"

    def lines(text: str) -> str:
        code = f"import sys\nsys.path[:0] = [{str(WORKERS)!r}, {str(tmp_path)!r}]\n{begin}{textwrap.dedent(text)}"
        done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False)
        return done.stdout.strip() or done.stderr.strip().splitlines()[-1]

    return lines


def test_a_task_is_imported_without_the_others(run) -> None:
    assert run("from casatasks import one; print(one(), 'casatasks.broken' in sys.modules)") == "3 False"
    # Also where its module was imported first, by one of CASA's own.
    assert run("from casatasks.private.helper import help; import casatasks; print(help(), casatasks.one())") == "3 3"


def test_what_is_missing_is_named(run) -> None:
    assert run("import casatasks; casatasks.three") == "AttributeError: casatasks has no task three"
    assert run("from casatasks import three").startswith("ImportError: cannot import name 'three'")
    assert run("from casatasks import broken") == "ModuleNotFoundError: No module named 'no_such_library'"
    # The names of a module itself are asked for by Python's own tools.
    assert run("import casatasks; print(hasattr(casatasks, '__wrapped__'))") == "False"


def test_all_tasks_are_imported_where_the_log_is_known_to_none_but_the_package(run) -> None:
    assert run("from casatasks import casalog") == "RuntimeError: all tasks at once"


def test_a_python_without_casa_stays_as_it_is(run) -> None:
    assert run("print(casa_tasks.PACKAGE in sys.modules)") == "True"
    absent = "sys.modules.pop('casatasks'); sys.path.pop(1); casa_tasks.import_when_used(); import casatasks"
    assert run(absent) == "ModuleNotFoundError: No module named 'casatasks'"
