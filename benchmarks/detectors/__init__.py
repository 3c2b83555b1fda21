"""How long the shipped detectors run on healthy streams, and how soon they see a change.

===============  ====================================================================================
module           one idea
===============  ====================================================================================
``streams``      the generated streams: scores, rates, costs, with and without a change
``watchers``     the shipped detectors as they arm in production, unit by unit
``protocol``     run length on nulls, thresholds matched to a run length, delays after a change
``fleet``        many segments under one budget over simulated weeks
``incidents``    segments in which something gets worse: planted in one value, or in none
``attribution``  how often the planted cause is named, and how often the onset's range is right
===============  ====================================================================================

``python -m benchmarks.detectors --help``; docs/detectors.md says how to read what it prints.
"""
