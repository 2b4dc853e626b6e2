"""Programs that call everything of every type: a few groups of live objects, then some tens of steps."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from hostile_generator import Generator
from hostile_steps import Failure, Machine, Slow, left_over
from hostile_world import GROUPS, World, in_thread, plain_request_is_served

Note = Callable[[dict[str, Any]], None]


def drawn(seed: int) -> tuple[dict[str, Any], random.Random]:
    rng = random.Random(f"calls {seed}")
    groups = rng.sample(list(GROUPS), rng.choice([1, 1, 1, 2, 2, 3]))
    header = {"kind": "calls", "groups": groups, "loop": "guest" if rng.random() < 0.15 else "native"}
    header["thread"] = rng.random() < 0.04
    return header, rng


def run(
    header: dict[str, Any], steps: Iterator[dict[str, Any]] | None, rng: random.Random, note: Note
) -> None:
    """Perform the steps, or draw them. Raises Failure."""

    def build() -> World:
        world = World(header["loop"])
        for group in header["groups"]:
            world.build(group)
        return world

    note(header)
    world = in_thread(build) if header["thread"] else build()
    machine = Machine(world)
    if steps is None:
        generator = Generator(rng, world)
        if rng.random() < 0.8:
            names = list(world.objects)
            generator.preferred = rng.sample(names, min(len(names), rng.choice([1, 1, 2, 3])))
        steps = (generator.step() for _ in range(rng.choice([5, 15, 40])))
    try:
        for step in steps:
            note(step)
            machine.budget = 100
            try:
                machine.perform(step)
            except Slow:
                if not world.hurt:
                    raise Failure("a step does not end") from None
                break
        left_over(world)
    finally:
        machine.budget = 0
        try:
            world.close()
        except Slow:
            pass
    note({"do": "end"})
    plain_request_is_served()
    if world.faults:
        raise Failure("; ".join(world.faults))
