"""``python -m services.searcher``: serve until SIGTERM or Ctrl-C; the environment holds the settings."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from services.common.alone import serve_alone


def begin() -> Coroutine[Any, Any, None]:
    """Begin to serve."""
    from services.common.settings import SearcherSettings, read_settings
    from services.searcher.server import serve

    return serve(read_settings(SearcherSettings))


if __name__ == "__main__":
    serve_alone(begin, "searcher")
