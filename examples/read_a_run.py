"""What a run measured, read from its folder: metrics.jsonl holds one JSON record a line.

python examples/read_a_run.py runs/RUN
"""

import argparse
import json
from pathlib import Path
from statistics import median

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    asked = json.loads((run / "run.json").read_text("utf-8"))["options"]
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    training = [record for record in records if record["split"] == "train"]
    measured = [record for record in records if record["split"] != "train"]
    print(f"{asked['net']} on {asked['data']}, recipe {asked['recipe']}, seed {asked['seed']}")
    print(f"loss {training[0]['loss']:.3f} at step {training[0]['step']}, {training[-1]['loss']:.3f} at the end")
    print(f"{median(record['images_per_second'] for record in training):.0f} images/s (median)")
    for record in measured:
        error = f"{record['top1_error']:.1%}"
        print(f"epoch {record['epoch']}: top-1 error {error} ({record['split']}, {record['views']} view)")
