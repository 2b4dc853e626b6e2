"""The swap: our modules under Tornado's names, in this process and in its children."""
