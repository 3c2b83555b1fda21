"""Run with ragas' own Python: what ``EvaluationDataset.from_jsonl`` makes of the file, as JSON."""

import json
import sys

from ragas import EvaluationDataset

dataset = EvaluationDataset.from_jsonl(sys.argv[1])
assert len(dataset.to_pandas()) == len(dataset)
print(
    json.dumps(
        [
            {"question": s.user_input, "contexts": s.retrieved_contexts, "expected": s.reference}
            for s in dataset.samples
        ]
    )
)
