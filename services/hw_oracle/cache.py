"""Reports that were made lately, by the content of network and chip."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

V = TypeVar("V")


class LruCache(Generic[V]):
    """Keeps what was used last, up to a total weight; safe to use from many threads.

    functools.lru_cache counts entries, where a report of a thousand layers weighs as much as a thousand of
    one, and it keeps no figure of what it would have had to compute.

    Parameters
    ----------
    most : int
        Weight of all entries together; 0 keeps nothing.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most
        self._entries: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> V | None:
        """Find a value, which becomes the last used."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: Hashable, value: V, weight: int) -> None:
        """Keep a value, and let go of those not used for longest; what weighs more than all is not kept."""
        if weight > self._most:
            return
        with self._lock:
            _, old = self._entries.pop(key, (None, 0))
            self._entries[key] = value, weight
            self._left += old - weight
            while self._left < 0:
                _, (_, freed) = self._entries.popitem(last=False)
                self._left += freed
