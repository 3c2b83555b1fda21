"""Run with DeepEval's own Python: what ``add_goldens_from_json_file`` makes of the file, as JSON."""

import json
import sys

from deepeval.dataset import EvaluationDataset

dataset = EvaluationDataset()
dataset.add_goldens_from_json_file(file_path=sys.argv[1])
print(
    json.dumps(
        [
            {
                "case_id": golden.additional_metadata["case_id"],
                "question": golden.input,
                "contexts": golden.retrieval_context,
                "expected": golden.expected_output,
                **{name: golden.additional_metadata[name] for name in ("labels", "must", "must_not")},
            }
            for golden in dataset.goldens
        ]
    )
)
