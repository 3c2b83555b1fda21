"""Run with Inspect's own Python: what ``json_dataset`` makes of the file, as JSON."""

import json
import sys

from inspect_ai.dataset import json_dataset

print(
    json.dumps(
        [
            {
                "case_id": sample.id,
                "question": sample.input,
                "contexts": sample.metadata["contexts"],
                "expected": sample.target or None,
                **{name: sample.metadata[name] for name in ("labels", "must", "must_not")},
            }
            for sample in json_dataset(sys.argv[1])
        ]
    )
)
