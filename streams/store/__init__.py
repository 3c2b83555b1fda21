"""The store role: what the topics bring, into DuckDB; snapshots and an HTTP API for its readers.

``role`` runs it: ``batch`` reads records, ``work`` writes them and does what is due beside that, ``served``
is what the API may ask of the owner.
"""
