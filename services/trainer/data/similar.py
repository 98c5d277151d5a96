"""Images that are nearly the same: what must not be on both sides of a split."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from services.trainer.data.dataset import Images, Indices

GROUP_CORRELATION = 0.95
"""Images of one class above this Pearson correlation of their pixels are taken for one photograph.

In the 7,172 test images of Sign Language MNIST it finds 333 photographs of some 21 variants each, among 5,000
images of CIFAR-10 one pair."""

BLOCK_VALUES = 2**22
"""Correlations that are held at once (16 MiB)."""

Vectors = npt.NDArray[np.float32]


def near_duplicate_groups(images: Images, labels: Indices) -> Indices:
    """Give images of one class that are connected by near-duplicates the same number.

    Parameters
    ----------
    images : ndarray of uint8, N x channels x height x width
    labels : ndarray of int64, N

    Returns
    -------
    ndarray of int64, N
    """
    groups = np.empty(len(labels), dtype=np.int64)
    count = 0
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        found = _components(standardised(images[members]))
        groups[members] = count + found
        count += int(found.max()) + 1
    return groups


def nearest(images: Images, among: Indices, queries: Vectors) -> tuple[Indices, Vectors]:
    """Find the most correlated of the images `among` for each query: its index and the correlation.

    Parameters
    ----------
    images : ndarray of uint8, N x channels x height x width
    among : ndarray of int64
        Indices of the images to choose from.
    queries : ndarray of float32, M x pixels
        `standardised` images.
    """
    index = np.full(len(queries), among[0])
    best = np.full(len(queries), -np.inf, dtype=np.float32)
    rows = max(1, BLOCK_VALUES // max(len(queries), queries.shape[1]))
    for start in range(0, len(among), rows):
        some = among[start : start + rows]
        block = queries @ standardised(images[some]).T
        first = block.argmax(axis=1)
        correlation = block[np.arange(len(queries)), first]
        closer = correlation > best
        index[closer], best[closer] = some[first[closer]], correlation[closer]
    return index, best


def standardised(images: Images) -> Vectors:
    """Make vectors whose dot product is the correlation of the images; a constant image gives zeros."""
    vectors = images.reshape(len(images), -1).astype(np.float32)
    vectors -= vectors.mean(axis=1, keepdims=True)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return vectors


def _components(vectors: Vectors) -> Indices:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(vectors)
    everyone = np.arange(n)
    leaders = everyone  # the first member of each one's group so far: the edges of all blocks before
    component = everyone
    rows = max(1, BLOCK_VALUES // n)
    for start in range(0, n, rows):
        one, other = np.nonzero(vectors[start : start + rows] @ vectors[start:].T > GROUP_CORRELATION)
        ends = np.concatenate([one + start, everyone]), np.concatenate([other + start, leaders])
        graph = coo_array((np.ones(len(ends[0]), dtype=bool), ends), shape=(n, n))
        component = connected_components(graph, directed=False)[1]
        leaders = np.unique(component, return_index=True)[1][component]
    return component.astype(np.int64)
