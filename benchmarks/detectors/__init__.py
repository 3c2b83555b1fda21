"""How long the shipped detectors run on healthy streams, and how soon they see a change, beside the field's.

===============  ====================================================================================
module           one idea
===============  ====================================================================================
``streams``      the generated streams: scores, rates, costs; with a daily cycle; in conversations
``watchers``     what a contender is, and the shipped detectors as they arm in production
``field``        detectors with a statistic: CUSUM, EWMA, Page-Hinkley, windows, burn rates
``searched``     river's detectors without one: ADWIN, HDDM, KSWIN
``contenders``   who takes part, signal by signal
``protocol``     one runner: settings matched to a run length, nulls, delays after a change
``comparison``   delays beside ours, with intervals, and what is claimed of them
``nulls``        healthy streams of every kind against the bound
``nab``          a smoke test on real series
``fleet``        many segments under one budget over simulated weeks
``incidents``    segments in which something gets worse: planted in one value, or in none
``attribution``  how often the planted cause is named, and how often the onset's range is right
===============  ====================================================================================

``python -m benchmarks.detectors --help``; docs/detectors.md says how to read what it prints.
"""
