"""The parts of :mod:`tornado_c.web`, which is where they are imported from."""
