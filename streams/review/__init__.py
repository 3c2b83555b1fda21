"""The review queue on a terminal, a key at a time.

===============  ================================================================================
module           idea
===============  ================================================================================
``item``         a failure as it comes up for review, from a snapshot
``screen``       an item as the lines of a terminal, however large its texts are
``desk``         what the keys do: a session over the queue
``drafts``       texts that were entered and are not stored yet
``terminal``     keys, lines, editor and pager of a real terminal
===============  ================================================================================
"""
