"""What Gleaner's path costs, in events per CPU-second, beside the bare loops that it is built on.

=============  =========================================================================================
module         one idea
=============  =========================================================================================
``traffic``    the traces: size, shape, apps, conversations; the same at every run
``plan``       what is compared: shapes of messages, cases, the marks to reach
``broker``     one broker for the whole run: the embedded one in a child process, or a real Kafka
``worker``     the child process of one case: ``python -m benchmarks.worker``
``meter``      CPU time of a worker between two counts of events
``bare``       the cases to compare with: loops that validate and do nothing else
``stages``     the cases of Gleaner: ingest and rolling, as the roles run them
``rounds``     starts the workers, feeds them in turns, collects what they measured
``report``     medians, ranges, ratios, marks
``replay``     a program of its own: a backtest of a million events, its CPU time and memory
``machine``    what it was measured on
=============  =========================================================================================

Run ``python -m benchmarks --help``; docs/benchmarks.md says how to read what it prints.
"""
