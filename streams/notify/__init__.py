"""The notify role: incidents, and their delivery to people.

``role`` runs it: records are read (``events``), reduced to incidents a batch at a time (``reduce``, over the
``boards`` in the file), and what is owed is delivered ``beside`` that: messages, answers to clicks, charts.
``sink``, ``hops``, ``clicks`` and ``alive`` are made of the settings.
"""
