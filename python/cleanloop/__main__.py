"""``python -m cleanloop``: the command."""

import sys

from . import _command

if __name__ == "__main__":
    sys.exit(_command())
