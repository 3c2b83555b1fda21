"""Scorers: text in, a number or the reason why there is none out.

=================  ===========================================================================
``base``           the port ``Scorer``, the verdicts, and the checks made before any scorer
``offline``        overlap of words: no model, no network; built on ``text``, ``overlap``, ``vocabulary``
``ragas``          an LLM judge; the only file that imports ragas
``budget``         a cap on what a judge spends, around any scorer
``factory``        which scorer a deployment uses
``rows``           scores the rows of a file
``fake_endpoint``  a judge on loopback to test against, with every fault that one can have
=================  ===========================================================================
"""
