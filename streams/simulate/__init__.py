"""Simulated traffic: five days of three applications, with or without what goes wrong on the fifth.

=====================  ==========================================================================
module                 idea
=====================  ==========================================================================
``scenarios``          what goes wrong, and when
``traffic``            when conversations begin: the daily cycle
``facts``              a fact as a passage, as questions and as answers
``invention``          what an answer says that no passage holds
``shape``              the fields that every simulated trace and feedback has
``support``            support-bot, whose provider updates the model in silence
``support_facts``      what support-bot's passages say
``policies``           policy-bot, whose index goes back to last year's documents
``policy_facts``       what policy-bot's passages say, this year and last
``contracts``          contract-extractor, to whom one user sends documents of 200 pages
``contract_documents`` the contracts that it reads
``generate``           all of it in the order of event time, from one seed
=====================  ==========================================================================

Pure and seeded: the same scenario, seed and number of events are the same bytes on every machine.
"""
