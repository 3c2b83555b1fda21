"""What travels: frozen values and the wire codec. No I/O, no clock, no policy.

=====================  ==========================================================================
module                 value
=====================  ==========================================================================
``trace``              :class:`~schemas.trace.TraceEvent`: one answer of an LLM application
``feedback``           :class:`~schemas.feedback.FeedbackEvent`: what a user or reviewer said of it
``change``             :class:`~schemas.change.ChangeEvent`: a prompt, index, model … was changed
``acceptance``         :class:`~schemas.acceptance.Acceptance`: a level is normal now, says a person
``score``              :class:`~schemas.score.Score` or :class:`~schemas.score.Unscored`, ``ScoreRequest``
``observation``        the packed small numbers that ingest sends to an app's owner
``signal``             what a detector concluded: ``Signal``; what a window measured: ``WindowStat``
``histogram``          the buckets of a log histogram, and how its counts travel
``incident``           :class:`~schemas.incident.Incident`: the signals of one cause
``command``            :class:`~schemas.command.Command`: what a person asked to be done with an incident
``effect``             :class:`~schemas.effect.Effect`: the post, edit or reply that a change asks for
``case``               :class:`~schemas.case.EvalCase`: a failing trace, whole and replayable
``dead_letter``        :class:`~schemas.dead_letter.DeadLetter`: what could not be read, and why
``identity``           ids that travel; all derived, none random
``topics``             one table: topic, key, value, partitions, retention, cleanup
``codec``              bytes to elements to events, with a reason for each refusal
=====================  ==========================================================================
"""
