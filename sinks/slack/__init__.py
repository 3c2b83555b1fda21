"""Alerts in Slack: one message per incident, edited as it changes, with a thread for what is news.

``render`` is pure and makes Block Kit from an incident; ``escape`` and ``limits`` keep it harmless and
acceptable; ``outcomes`` reads Slack's answers; ``client`` alone talks to Slack; ``sandbox`` is a Slack
on the loopback that refuses what Slack refuses and fails when it is told to.
"""
