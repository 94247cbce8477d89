"""Small worlds for the demo, with outcomes that can be checked by hand."""

import json

import numpy as np
import pytest

from banditd_sim.datasets.paretobandit import ParetoBanditData


@pytest.fixture
def make_data():
    """Return a function that makes data of rows (split, category, qualities, costs in USD)."""

    def make(rows, models=("small", "large")):
        def numbers(column):
            return np.array([row[column] for row in rows], dtype=np.float64)

        return ParetoBanditData(
            prompt_ids=tuple(f"pareto:{i:016x}" for i in range(len(rows))),
            texts=tuple(f"prompt {i}" for i in range(len(rows))),
            category=tuple(row[1] for row in rows),
            split=tuple(row[0] for row in rows),
            model_ids=tuple(models),
            quality=numbers(2),
            cost_usd=numbers(3),
            input_usd_per_1m=np.full(len(models), np.nan),
            output_usd_per_1m=np.full(len(models), np.nan),
            price_basis="list",
            origin="a test",
        )

    return make


@pytest.fixture
def make_folder(tmp_path):
    """Return a function that writes data files of so many prompts, whose best model shows in their words."""

    def make(learn_count, test_count):
        folder = tmp_path / "prompts"
        folder.mkdir()
        rng = np.random.default_rng(7)
        number = 0
        for name, count in (("val", learn_count), ("test_holdout", test_count)):
            lines = []
            for _ in range(count):
                number += 1
                is_hard = bool(rng.random() < 0.5)
                words = "prove the theorem by induction" if is_hard else "say hello in a friendly way"
                small, large = (0.2, 0.9) if is_hard else (0.9, 0.9)
                lines.append(
                    {
                        "prompt": f"{words}, number {number}",
                        "source": "hard" if is_hard else "easy",
                        "arms": {
                            "meta-llama/llama-3.1-8b-instruct": {"reward": small, "cost": 1e-4},
                            "google/gemini-2.5-pro": {"reward": large, "cost": 1e-3},
                        },
                    }
                )
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
        return folder

    return make
