"""What generation 4 of the interface adds to modules and changes in them, one file for each of Tornado's.

``add(module, changes)`` of each is called when the module has been imported, or when this generation is
put in force after that. It sets what it sets through ``changes``, which can set it back. ``begun`` is what
several have in common.
"""
