"""The store's HTTP API: what is committed, within a second; what reviewers say of it.

===============  ================================================================================
module           idea
===============  ================================================================================
``models``       what goes in and out, as OpenAPI describes it
``app``          which address answers what
``actions``      what reviewers may do
``keys``         bearer tokens, and whom they name
``guard``        who may ask, and how much at a time
``serve``        a server in a thread beside the store's owner
===============  ================================================================================
"""
