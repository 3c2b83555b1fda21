"""Decisions: pure and deterministic. Time is an argument, state is a value, nothing does I/O.

==========================  ==============================================================================
module                      decides
==========================  ==============================================================================
``segment``                 all monitors of one segment: what the stream's owner, replay and backtest call
``rules``, ``rulebook``     what is watched, and how rarely it may be wrong; as a file says it
``monitor``                 one rule in one segment: when to fire
``detector``, ``alarm``     what it asks of a detector, and what it finds; ``said`` makes a signal of it
``monitors``                the monitors of a segment by name, and how they are written down
``readings``, ``unit``      which detector a rule has, and what it reads of a unit
``bounded``, ``cost``       detectors: a baseline and the e-SRs against it
``cost_per_success``        what a successful task costs, watched on its two sides
``esr``                     the mixture e-SR, with its guarantee
``tilted_esr``              the same on ranks: bets that grow with how far above the others a unit is
``baseline``                learning, arming, pinning; the threshold that a budget asks for
``cost_reference``          what requests normally cost: a ``bottom_k`` sample, sums by hour of the day
``cost_cycle``              whether costs differ by the hour, and whether ranks bear a profile of the day
``cost_normal``             what a baseline of costs defends
``cost_scale``              where a request's cost stands in that sample
``control_variate``         what a sample owes to chance
``recovery``                the end of an alarm, shown by a mirrored detector
``planning``, ``coverage``  how soon a rule would see a shift, and in which segments
``track``, ``memory``       the recent past of a signal, its sums at ``checkpoints``; older units one in 32
                            (``sparse_units``), and in ``blocks``, as sums
``attribution``             which value of which dimension explains a move
``hypotheses``              the explanations, weighed by ``likelihood`` over a ``series`` of units
``onset``                   when a move began: with a recorded change, or within a range
``changes``, ``contrast``   which versions are new; whether units are worse than those before
``scorers``                 whose scores count
``price_source``            whose prices count
``windows``                 event-time windows, published in parts that add up; of ``sums``
``rate_windows``            the same for all rates of conversations
``log_histogram``           how amounts are distributed: exact merging, quantiles within 0.8 %
``interval``                how surely a value is known
``harvest``                 which traces are failing cases, and why
``declared``                rules that declare what is allowed; the volume of traffic
``words``                   the reason of an alarm, for people
``incident``                alarms of one cause, from the first page to the end
``standing``, ``silence``   how a rule stands in a segment; why it did not fire
``digest``                  what a day or a week was like
==========================  ==============================================================================
"""
