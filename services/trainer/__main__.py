"""``python -m services.trainer``: serve until SIGTERM or Ctrl-C; the environment holds the settings."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from services.common.alone import serve_alone


def begin() -> Coroutine[Any, Any, None]:
    """Begin to serve."""
    from services.common.settings import TrainerSettings, read_settings
    from services.trainer.server import serve

    return serve(read_settings(TrainerSettings))


if __name__ == "__main__":
    serve_alone(begin, "trainer")
