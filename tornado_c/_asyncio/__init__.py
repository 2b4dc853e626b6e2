"""The asyncio face of the native loop: the loop, its transport and its policy."""
