"""The parts of http1connection."""
