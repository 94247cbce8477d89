"""Twin of the kernel in ``rounds.py``: the kernels of each step called one by one, which have twins of their own."""

import numpy as np

from banditd.kernels import (
    account_cost,
    account_decision,
    count_support,
    decide,
    learn_metrics,
    mirror_model,
    predict_models,
    watch_metrics,
)


def play_rounds(
    rows,
    seen,
    costs,
    uniform,
    slots,
    left_usd,
    usd_weight,
    second_weight,
    cost_usd_max,
    latency_ms_max,
    quality_min,
    price_low,
    price_high,
    share_high,
    explorer,
    parameter,
    inout_evidence,
    known_from,
    caps,
    floor,
    spend_share,
    allowance_usd,
    given,
    gamma,
    prior_thetas,
    prior_precision,
    log_prices,
    guess_count,
    watches,
    inout_a_invs,
    inout_thetas,
    inout_numbers,
    inout_mirrored_theta,
    inout_mirrored_a_inv,
    inout_offsets,
    inout_detectors,
    inout_support,
    budget_usd,
    exploration_share,
    inout_accounts,
    inout_contexts,
    inout_answers,
    inout_codes,
    out_pmf,
    out_expected,
    out_index,
    out_pacing,
):
    """Round by round."""
    limits = (left_usd, usd_weight, second_weight, cost_usd_max, latency_ms_max, quality_min)
    prices, policy = (price_low, price_high, share_high), (explorer, parameter, inout_evidence, known_from, caps, floor)
    mirror = (inout_mirrored_theta, inout_mirrored_a_inv, inout_offsets)
    for b, row in enumerate(rows):
        if len(inout_accounts):
            idle, target, *prices = inout_accounts[3:8]
            allowance_usd = idle + target * exploration_share
            out_pacing[b] = *prices, allowance_usd
        values = np.empty((4, len(slots)))
        predict_models(*mirror, row, values)
        rest = (spend_share, allowance_usd, given, uniform[b], inout_codes[b], out_pmf[b], out_expected[b])
        k = out_index[b] = decide(values, *limits, *prices, *policy, *rest)
        if k < 0:
            return b
        count_support(slots, out_pmf[b], inout_support)
        if len(inout_accounts):
            told = (out_expected[b], inout_codes[b], out_pmf[b], k, np.nan, np.nan, *prices)
            state = (inout_contexts, inout_answers, inout_accounts)
            account_decision(*told, usd_weight, second_weight, budget_usd, 0.0, *state)
            account_cost(float(out_expected[b, 1, k]), costs[b, k], inout_accounts)
        arm = (inout_a_invs[k], inout_thetas[k], inout_numbers[k])
        errors = learn_metrics(*arm, prior_thetas[k], prior_precision, gamma, row, *seen[b, k], 1.0)
        mirror_model(*arm, log_prices, guess_count, k, *mirror, inout_evidence)
        if watches and watch_metrics(inout_detectors[k], *errors):
            return b + 1
    return len(rows)
