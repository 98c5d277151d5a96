"""Fields of dataclasses that say how long they may be, so that a message is refused before it is read."""

from __future__ import annotations

from dataclasses import MISSING, field
from typing import Any


def at_most(items: int, default: Any = MISSING) -> Any:
    """Make a field for a tuple of at most so many items.

    The converter of messages refuses a longer list unread; the class itself checks whatever else makes it.
    """
    return field(default=default, metadata={"most": items})
