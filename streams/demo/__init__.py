"""The demo: a simulated week through the real thing, on the embedded broker, in about a minute.

=================  ==============================================================================
module             idea
=================  ==============================================================================
``show``           the whole of it, from the first event to the exit status
``home``           the folder that it lives in, and what is left there
``surroundings``   the settings that it runs under, whatever is configured around it
``stage``          broker, roles and fake Slack, started and ended together
``pace``           publishes no faster than the roles follow
``watch``          what comes out, seen from outside: counts, incidents, cases
``drain``          when everything has come out, or which role is behind
``live``           the screen while it runs
``result``         what the store says at the end
``report``         the end, for people
``slack_view``     a Slack message as a terminal can show it
``usual``          what the usual dashboards saw of it
``chart``          a signal over the week in block characters
``release``        what comes after (``--release-2``): frozen set, gate, loop
``weeks``          the weeks under the next two releases
``planted``        the counts that are planted in them, and must come out
=================  ==============================================================================
"""
