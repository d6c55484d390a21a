"""The process that checks an exported model; see `serving.isolated_check`, which starts it.

    python -m serving.model_check --model-dir D --result verdict.json FILE...

What it does next is printed, a line a step; the verdict is written as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path


def main() -> None:
    """Check and write the verdict."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model-dir", required=True)
    parser.add_argument("--result", type=Path, required=True)
    parser.add_argument("example_files", nargs="+")
    options = parser.parse_args()
    _report("importing TensorFlow")
    # A model server has no Keras, so a model that needs it must fail here; and TensorFlow then starts in half the time.
    sys.modules["keras"] = None  # type: ignore[assignment]
    started = time.perf_counter()
    from serving.signature_checks import check_model

    import_seconds = time.perf_counter() - started
    verdict = check_model(options.model_dir, options.example_files, _report)
    options.result.write_text(
        json.dumps(verdict.to_json() | {"import_seconds": round(import_seconds, 2)}), encoding="utf-8"
    )


def _report(step: str) -> None:
    print(step, flush=True)


if __name__ == "__main__":
    main()
