"""The consumers run in environments of their own, where their package is, and not here."""

collect_ignore = ["consumers"]
