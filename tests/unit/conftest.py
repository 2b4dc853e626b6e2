"""Fixtures of more than one module."""

import pytest
from iostream_world import Ours, Stock, World


@pytest.fixture(params=[Ours, Stock], ids=["ours", "stock"])
def both(request):
    world = World(request.param)
    yield world
    world.close()


@pytest.fixture
def ours():
    world = World(Ours)
    yield world
    world.close()
