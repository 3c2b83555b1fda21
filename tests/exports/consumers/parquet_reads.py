"""Run with Hugging Face datasets' own Python: a Parquet file, or a dataset's folder by its split, as JSON."""

import json
import sys
from pathlib import Path

import polars
from datasets import load_dataset

path = Path(sys.argv[1])
folder = path.parent.parent if path.parent.name == "data" else None
rows = list(
    load_dataset(str(folder), split="test") if folder else polars.read_parquet(path).iter_rows(named=True)
)
print(
    json.dumps(
        [
            {
                "case_id": row["case_id"],
                "question": row["question"],
                "contexts": [passage["text"] for passage in row["contexts"]],
                "expected": row["expected_answer"],
                **{name: row[name] for name in ("labels", "must", "must_not")},
            }
            for row in rows
        ]
    )
)
