"""``python -m services.searcher``: serve until SIGTERM or Ctrl-C; the environment holds the settings."""

from __future__ import annotations

from services.common.rpc.server import serve_alone
from services.common.settings import SearcherSettings
from services.searcher.server import serve

if __name__ == "__main__":
    serve_alone(serve, SearcherSettings)
