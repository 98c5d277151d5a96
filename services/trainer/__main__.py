"""``python -m services.trainer``: serve until SIGTERM or Ctrl-C; the environment holds the settings."""

from __future__ import annotations

from services.common.rpc.server import serve_alone
from services.common.settings import TrainerSettings
from services.trainer.server import serve

if __name__ == "__main__":
    serve_alone(serve, TrainerSettings)
