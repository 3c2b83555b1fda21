"""Where results go: incidents to Slack or the console, failing cases to the eval store.

A sink knows its destination and the values of ``schemas``, never Kafka; what reaches it twice has the
effect of once. See :mod:`sinks.evalstore`.
"""
