"""Rules that declare what is allowed, beside those that learn what is normal; and the volume of traffic.

====================  =============================================================================
module                decides
====================  =============================================================================
``watch``             all such rules of one segment: what the stream's owner, replay and backtest call
``policy``            what a rule may declare: frozen values
``burn_rate``         an objective: multi-window, multi-burn-rate
``level``             a line for a mean or a sum over a rolling window
``volume``            traffic in both directions; its parts ``volume_baseline``, ``count_law``, ``count_esr``
``index_age``         a heartbeat
``user_budget``       what one user may use in a day; counted by ``heavy_hitters``
``buckets``           sums per five minutes of event time
``latch``             when what is asked again and again is told
``meters``, ``tell``  a rule's units, and its findings as signals
``expected``          false pages that an objective brings by chance
====================  =============================================================================
"""
