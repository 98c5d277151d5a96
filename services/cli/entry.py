"""Where the installed command starts: a client-only install has the command, but not what it needs."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command, or say what to install for it."""
    try:
        from services.cli.__main__ import main as run
    except ModuleNotFoundError as error:
        if (error.name or "services").partition(".")[0] == "services":
            raise
        print(f"imcnas: the command needs {error.name}; run: pip install 'imcnas[all]'", file=sys.stderr)
        sys.exit(2)
    run()
