"""The only package that knows Faust, Kafka and the wall clock.

The path of an event, in file order:

=============  ==========================  ==============================================  ==========================
module         reads                       calls (pure)                                    writes
=============  ==========================  ==============================================  ==========================
``ingest``     traces, feedback, changes,  ``schemas.codec``, ``streams.steps.observe``    observations, score-requests,
               scores                                                                      dead-letters
``judge``      score-requests              ``streams.judges``                              scores
``rolling``    observations                ``streams.steps.owner``, ``detectors``          signals, case-requests
``harvest``    case-requests, then the     ``streams.steps.harvest``, ``redact``           cases, case-previews
               trace by its coordinates
``notify``     signals, commands,          ``detectors.incident``                          Slack, incidents
               case-previews
``store``      cases, incidents, signals,  ``sinks.evalstore``                             DuckDB, snapshots
               dead-letters
=============  ==========================  ==============================================  ==========================

``replay`` calls the same pure steps over files, without Kafka.
"""
