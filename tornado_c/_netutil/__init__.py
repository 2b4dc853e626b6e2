"""The parts of :mod:`tornado_c.netutil`, which is where they are imported from."""
