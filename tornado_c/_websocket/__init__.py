"""The parts of :mod:`tornado_c.websocket`, which is where they are imported from."""
