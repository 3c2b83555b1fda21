"""Decisions: pure and deterministic. Time is an argument, state is a value, nothing does I/O.

=====================  ==========================================================================
module                 decides
=====================  ==========================================================================
``segment``            all monitors of one segment: what the stream's owner, replay and backtest call
``rules``              what is watched, and how rarely it may be wrong
``monitor``            one rule in one segment: when to fire, and what to say
``bounded``, ``cost``  detectors: a baseline and the e-SRs against it
``esr``                the mixture e-SR, with its guarantee
``baseline``           learning, arming, pinning; the threshold that a budget asks for
``cost_reference``     what requests normally cost: a bounded sample, a profile of the day
``track``              the recent past of a signal
``attribution``        which value of which dimension explains a move; by the tests of ``contrast``
``changes``            which versions are new; a served model that changed by itself
``scorers``            whose scores count
``price_source``       whose prices count
``windows``            event-time windows, published in parts that add up; of ``sums``
``rate_windows``       the same for all rates of conversations
``log_histogram``      how amounts are distributed: exact merging, quantiles within 0.8 %
``harvest``            which traces are failing cases, and why
``declared``           rules that declare what is allowed; the volume of traffic
``words``              the reason of an alarm, for people
``incident``           alarms of one cause, from the first page to the end
=====================  ==========================================================================
"""
