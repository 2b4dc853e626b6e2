"""The parts of :mod:`tornado_c.httputil`, which is where they are imported from."""
