"""The parts of the modules about HTTP, which is where their public names are imported from."""
