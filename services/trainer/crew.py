"""Keeps the actors: as many as are wanted, or as the cluster has room for, whatever dies or joins.

A thread looks at the cluster now and then. What is ready is offered in the slots; what is lost, by itself
or with its node, is taken away there and asked for again.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Literal

import ray
from ray.exceptions import ActorUnavailableError, RayError

from services.common.errors import Unavailable
from services.trainer.actor import Actor, SlotSize, versions
from services.trainer.slots import Slots

log = logging.getLogger(__name__)

LOOK_S = 0.5
"""Time between two looks at the cluster."""

PAUSE_S = 5.0
"""How long nothing is started after an actor could not start."""


class Crew:
    """Actors of one size.

    Parameters
    ----------
    slots : Slots
        Where actors are offered once they are ready.
    wanted : int or "auto"
        How many; ``auto`` is as many as fit on the nodes that there are, and at least one, for which a
        cluster that scales may add a node.
    size : SlotSize
        What each takes of its node.
    start_timeout_s : float
        How long a start may take, and how long there may be no actor at all before callers are refused.

    Attributes
    ----------
    restarts : int
        Actors lost after they were ready.
    """

    def __init__(
        self, slots: Slots[Actor], wanted: int | Literal["auto"], size: SlotSize, start_timeout_s: float
    ) -> None:
        self.restarts = 0
        self._slots, self._wanted, self._size = slots, wanted, size
        self._start_timeout_s = start_timeout_s
        self._starting: list[Actor] = []
        self._trouble = self._noted = ""
        self._broken = False
        self._not_before = 0.0
        self._some_since = time.monotonic()
        self._started, self._closing = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._keeper = threading.Thread(target=self._keep, name="crew", daemon=True)

    def start(self, *, grows: bool) -> None:
        """Start, and wait until all that are wanted are ready, with ``auto`` the first.

        Parameters
        ----------
        grows : bool
            Whether the cluster may get nodes; otherwise one without room is refused at once.

        Raises
        ------
        Unavailable
            They were not ready in time, or cannot start on a node.
        """
        if not grows and self._room(_resources()) < self._enough:
            raise Unavailable(self._missing())
        self._keeper.start()
        if not self._started.wait(self._start_timeout_s):
            raise Unavailable(self._missing())
        if self._broken:
            raise Unavailable(f"a worker cannot start: {self._trouble}")

    def close(self) -> None:
        """Kill every actor; those that are lent stay in the slots until their callers have left."""
        self._closing.set()
        if self._keeper.is_alive():
            self._keeper.join()
        for actor in (*self._starting, *self._slots.workers):
            actor.kill()

    def lose(self, actor: Actor, error: RayError) -> bool:
        """Take an actor away that `error` tells is gone; tell whether it went alone, without its machine."""
        # A process that dies is reported dead; one that is just out of reach went with its machine.
        with_node = isinstance(error, ActorUnavailableError) or actor.node not in _resources()
        log.info("a worker on %s is lost: %s", actor.node, type(error).__name__)
        self.replace(actor)
        return not with_node

    def replace(self, actor: Actor) -> None:
        """Put another actor in the place of one."""
        actor.kill()
        if self._slots.remove(actor) and not self._closing.is_set():
            with self._lock:
                self.restarts += 1

    def _keep(self) -> None:
        while not self._closing.is_set():
            try:
                self._look()
            except Exception:  # the cluster's head is away, most likely; Ray ends this process in a minute
                log.exception("cannot look at the cluster")
                self._closing.wait(PAUSE_S)

    def _look(self) -> None:
        nodes = _resources()
        for actor in self._slots.workers:
            if actor.node not in nodes:
                self.replace(actor)
        self._fill(nodes)
        if self._starting:
            ready, _ = ray.wait([actor.ready for actor in self._starting], timeout=LOOK_S)
            for actor in [actor for actor in self._starting if actor.ready in ready]:
                self._starting.remove(actor)
                self._greet(actor)
        else:
            self._closing.wait(LOOK_S)
        self._tell()

    @property
    def _enough(self) -> int:
        return 1 if self._wanted == "auto" else self._wanted

    def _room(self, nodes: dict[str, dict[str, float]]) -> int:
        return sum(map(self._size.room, nodes.values()))

    def _fill(self, nodes: dict[str, dict[str, float]]) -> None:
        """Ask for the actors that lack, and no longer for those that are too many."""
        wanted = max(1, self._room(nodes)) if self._wanted == "auto" else self._wanted
        lacking = wanted - self._slots.size - len(self._starting)
        while lacking < 0 and self._starting:
            self._starting.pop().kill()
            lacking += 1
        if time.monotonic() >= self._not_before:
            self._starting += [Actor.spawn(self._size) for _ in range(lacking)]

    def _greet(self, actor: Actor) -> None:
        """Offer an actor that is ready, or note why it cannot start."""
        try:
            actor.pid, actor.node, theirs = ray.get(actor.ready)
        except RayError as error:
            self._not_before = time.monotonic() + PAUSE_S
            self._trouble = type(error).__name__
            if getattr(error, "actor_init_failed", False):
                self._note(str(error).strip().splitlines()[-1])
            return
        if theirs == versions():
            self._slots.add(actor)
            return
        actor.kill()
        self._not_before = time.monotonic() + PAUSE_S
        differ = [name for name, ours in versions().items() if theirs.get(name) != ours]
        there, here = (", ".join(f"{n} {of.get(n, 'none')}" for n in differ) for of in (theirs, versions()))
        self._note(f"node {_address(actor.node)} has {there}, this trainer {here}; they must be the same")

    def _note(self, trouble: str) -> None:
        if self._started.is_set() and trouble != self._noted:  # `start` raises it
            log.error("a worker cannot start: %s", trouble)
        self._trouble = self._noted = trouble
        self._broken = True
        self._started.set()

    def _tell(self) -> None:
        """Tell `start` when there are enough, and callers when there have been none for too long."""
        now = time.monotonic()
        if self._slots.size:
            self._some_since = now
        if self._slots.size >= self._enough:
            self._started.set()
        if now - self._some_since > self._start_timeout_s:
            self._slots.refuse(self._missing())

    def _missing(self) -> str:
        total: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
        kinds = ("CPU", "GPU") if self._size.gpus else ("CPU",)
        room = " and ".join(f"{free.get(k, 0):g} of {total.get(k, 0):g} {k}s" for k in kinds)
        wanted = "" if self._wanted == "auto" else f" of {self._wanted}"
        text = (
            f"Ray has no room: {self._slots.size}{wanted} slots are ready, "
            f"a slot needs {self._size}, and {room} are free"
        )
        return f"{text}; the last that could not start: {self._trouble}" if self._trouble else text


def _resources() -> dict[str, dict[str, float]]:
    """Resources of each node that is alive, by its id."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return {node["NodeID"]: node["Resources"] for node in nodes if node["Alive"]}


def _address(node: str) -> str:
    return addresses().get(node, node)


def addresses() -> dict[str, str]:
    """Address of each node of the cluster, gone ones included, by its id."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return {node["NodeID"]: node["NodeManagerAddress"] for node in nodes}
