"""The end of the loop: failures become a frozen set, a set gates a release, and the release is looked at.

===============  ================================================================================
module           idea
===============  ================================================================================
``selection``    which cases make a set: one of each failure, every reason and app in turn
``record``       a case as it is frozen: one line of JSON, and a hash over all lines
``freezing``     what a reader may choose from; the owner's rows once it is chosen
``unfreezing``   what a request to forget takes out of frozen sets
``bundle``       a frozen release as files that need no store
``changes``      what changed between two sets
``reviews``      what a person says of a case
``agreement``    how far two reviewers agree: Cohen's kappa, with its n
``shapes``       a frozen case in the words of other tools
``export``       a frozen release as files for them
``rubric``       what an answer is judged by where nobody wrote one that is right
``result``       one run of one case, and why there may be no result
``runners``      what promptfoo, DeepEval and Inspect wrote
``ragas_table``  what ragas wrote, as pandas writes tables
``results``      what a test runner wrote, as one kind of value
``exact``        binomial and Poisson tails, and the intervals that follow
``family``       several exact tests under one level
``gate``         whether a release may go out
``gate_report``  the verdict as JUnit XML and as Markdown
``kept``         the runs of the gate, in the store
``loop``         what became of each failure
``live``         cases and traffic in production, before and after
===============  ================================================================================
"""
