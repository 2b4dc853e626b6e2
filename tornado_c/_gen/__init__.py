"""Coroutines: what ``gen`` hands out besides the coroutines themselves."""
