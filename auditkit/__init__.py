"""auditkit: does a model that was said to have unlearned something still hold it?

Rooms, in the order in which data flows (a room imports only from rooms above it; ``cli`` may import any)::

    spec → corpora → models → unlearning → attacks → measurement → checks → decisions → evidence → reporting → zoo

The modules beside the rooms (``errors``, ``registry``, ``text``, ``files``) are the floor they stand on: they import no room.
"""

__version__ = "0.1.0"
