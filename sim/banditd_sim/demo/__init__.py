"""`make demo`: a real server learns to route real prompts, and is compared with what needs no learning.

The prompts are those of the package `paretobandit`: 1,785 to learn on (val), then 1,824 that are judged (test_holdout),
with the quality and the cost that three models had on each. The demo starts `banditd serve` as a process of its own
and speaks to it through banditd_client only: for each prompt Route, then RecordOutcome with the quality and the cost of
the model that was chosen, never of another. Between the two parts it kills the server with SIGKILL and starts it again
on the same directory.

Prompts are embedded by hashing character n-grams (`banditd_sim.embed.ngram`), which needs no model. A sentence embedder
brings no more here: a ridge regression on 50 principal components, fitted on val and judged on test_holdout, gains
0.0351 [0.0293, 0.0406] of quality over the fixed mix with n-grams and 0.0357 [0.0301, 0.0411] with MiniLM; the
difference of 0.0003 [-0.0049, 0.0052] is noise, and MiniLM costs 100 MB more to install and 110 CPU-seconds more to
run. `--embedder minilm` takes it all the same.
"""
