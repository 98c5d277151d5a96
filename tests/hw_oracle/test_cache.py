"""The cache keeps what was used last, up to a weight."""

from __future__ import annotations

from threading import Thread

from services.hw_oracle.cache import LruCache


def test_what_was_not_used_for_longest_is_let_go() -> None:
    cache: LruCache[str] = LruCache(3)
    for key in "abc":
        cache.put(key, key.upper(), 1)
    assert cache.get("a") == "A"
    cache.put("d", "D", 1)
    assert [cache.get(key) for key in "abcd"] == ["A", None, "C", "D"]


def test_weights_count_and_what_weighs_more_than_all_is_not_kept() -> None:
    cache: LruCache[str] = LruCache(5)
    cache.put("a", "A", 3)
    cache.put("b", "B", 2)
    cache.put("huge", "H", 6)
    assert [cache.get(key) for key in ("a", "b", "huge")] == ["A", "B", None]
    cache.put("c", "C", 4)
    assert [cache.get(key) for key in "abc"] == [None, None, "C"]
    cache.put("c", "C2", 1)  # in its own place
    cache.put("d", "D", 4)
    assert [cache.get(key) for key in "cd"] == ["C2", "D"]


def test_nothing_is_kept_without_room() -> None:
    cache: LruCache[str] = LruCache(0)
    cache.put("a", "A", 1)
    assert cache.get("a") is None


def test_many_threads_keep_it_within_its_weight() -> None:
    cache: LruCache[int] = LruCache(50)

    def use(first: int) -> None:
        for i in range(2000):
            cache.put((first * i) % 97, i, 1 + i % 7)
            cache.get(i % 97)

    threads = [Thread(target=use, args=(n,)) for n in (1, 2, 3, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = sum(cache.get(key) is not None for key in range(97))
    assert 50 // 7 <= kept <= 50
