"""Prompts that are encoded many at a time have the rows that each would have alone."""

import numpy as np

from banditd.features.encode import encode
from banditd.features.fit import intercept_spec, seeded_spec
from banditd.features.spec import FeatureKind
from banditd_sim.environments.arena import arena_of
from banditd_sim.environments.prompts import Prompts

from .worlds import learnable


def test_rows_are_those_of_one_prompt_alone():
    """In order, again, from anywhere, and under another encoding in between."""
    arena = arena_of(learnable(300))
    rows = np.random.default_rng(2).permutation(300)
    prompts = Prompts(arena, rows)
    first, second = (seeded_spec(FeatureKind.LINEAR, arena.dimension, seed) for seed in (1, 2))
    blind = intercept_spec(arena.dimension)
    asked = [(t, first) for t in range(200)] + [(t, second) for t in (200, 201)] + [(t, first) for t in (202, 3, 299)]
    for t, features in [*asked, (5, blind)]:
        context = prompts.contexts[t]
        np.testing.assert_array_equal(context.embedding, arena.embeddings[rows[t]])
        assert context.category == arena.category_of(int(rows[t]))
        assert context.input_tokens == arena.tokens[rows[t]]
        alone = encode(features, context)
        np.testing.assert_array_equal(prompts.row(t, features), alone)
