"""Near-duplicates in the eval store: how many planted pairs are found, how many wrong ones, how fast.

===============  ====================================================================================
module           one idea
===============  ====================================================================================
``corpus``       cases that differ, and planted near-duplicates of some of them
``found``        recall and precision over pairs, from the clusters that the store gives back
``speed``        the full path, the bare flush, building the index again
===============  ====================================================================================

``python -m benchmarks.evalstore --help``; docs/evalstore.md says what the figures mean.
"""
