"""The only package that knows Faust, Kafka and the wall clock.

The path of an event; file order is event order:

===========  ===========================  =================================  =========================
module       reads                        calls (pure)                       writes
===========  ===========================  =================================  =========================
``ingest``   traces, feedback, changes,   ``steps.ingest``, ``steps.observe``  observations,
             scores                                                          score-requests, scores,
                                                                             dead-letters
``judge``    score-requests               ``judges``                         scores
``rolling``  observations                 ``steps.owner``, ``detectors``     signals, case-requests
``harvest``  case-requests, then the      ``steps.harvest``,                 cases, case-previews
             trace by its coordinates     ``steps.redact``
``notify``   signals, commands,           ``detectors.incident``             Slack, incidents
             case-previews
``store``    cases, incidents, signals,   –                                  DuckDB, its snapshots
             dead-letters
===========  ===========================  =================================  =========================

``replay`` calls the same pure steps over files, without Kafka.
"""
