"""Many rounds in one call: predict, decide, account, be told, learn, mirror, watch.

For replays in which every outcome comes at once. Each step is the kernel that a router calls for it, on the same
numbers in the same order, so that the results are the same to the bit; what is saved is the way from one to the next.
"""

import math

import numpy as np

from banditd.kernels._jit import Array32, Array64, Codes, Index, Slots, array, f32, f64, i64, kernel, u8, u16
from banditd.kernels.accounts import (
    IDLE_USD,
    PRICE_HIGH,
    PRICE_LOW,
    SHARE_HIGH,
    TARGET_USD,
    account_cost,
    account_decision,
)
from banditd.kernels.choice import decide
from banditd.kernels.decision import count_support, predict_models
from banditd.kernels.detection import watch_metrics
from banditd.kernels.linear import learn_metrics, mirror_model


@kernel(
    array(f32, "BN"),
    array(f64, "BKT"),
    array(f64, "BK"),
    array(f64, "B"),
    array(u16, "K"),
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    i64,
    f64,
    array(f64, "K", inout=True),
    f64,
    array(f64, "K"),
    f64,
    f64,
    f64,
    array(f64, "HK"),
    f64,
    array(f64, "KTN"),
    array(f64, "TN"),
    array(f64, "K"),
    f64,
    i64,
    array(f64, "KTNN", inout=True),
    array(f64, "KTN", inout=True),
    array(f64, "KTY", inout=True),
    array(f32, "NTK", inout=True),
    array(f32, "NNK", inout=True),
    array(f64, "TK", inout=True),
    array(f64, "KTT", inout=True),
    array(f64, "LH", inout=True),
    f64,
    f64,
    array(f64, "P", inout=True),
    array(f64, "HMK", inout=True),
    array(f64, "HM", inout=True),
    array(u8, "BK", inout=True),
    array(f64, "BK", out=True),
    array(f32, "BTK", out=True),
    array(i64, "B", out=True),
    array(f64, "BV", out=True),
    returns=(i64,),
)
def play_rounds(
    rows: Array32,  # (B, N) encoded contexts in the order in which they come
    seen: Array64,  # (B, K, 3) what comes of each model there: quality, log cost, log latency; nan for nothing
    costs: Array64,  # (B, K) what each model costs there, USD
    uniform: Array64,  # (B,) in [0, 1)
    slots: Slots,  # (K,) numbers of the models, each once and below L
    left_usd: float,  # from here on as `decide` has it, but for the evidence, which grows
    usd_weight: float,
    second_weight: float,
    cost_usd_max: float,
    latency_ms_max: float,
    quality_min: float,
    price_low: float,
    price_high: float,
    share_high: float,
    explorer: int,
    parameter: float,
    inout_evidence: Array64,  # (K,)
    known_from: float,
    caps: Array64,  # (K,)
    floor: float,
    spend_share: float,
    allowance_usd: float,
    given: Array64,  # (2, K)
    gamma: float,  # share kept of what was known, in (0, 1]
    prior_thetas: Array64,  # (K, 3, N) the priors' means
    prior_precision: Array64,  # (3, N) the priors' precisions
    log_prices: Array64,  # (K,) as `mirror_model` has them
    guess_count: float,
    watches: int,  # whether detectors are shown the errors
    inout_a_invs: Array64,  # (K, 3, N, N) as `learn_metrics` has them
    inout_thetas: Array64,  # (K, 3, N)
    inout_numbers: Array64,  # (K, 3, 5)
    inout_mirrored_theta: Array32,  # (N, 3, K) as `mirror_model` writes them, current at the start
    inout_mirrored_a_inv: Array32,  # (N, N, K)
    inout_offsets: Array64,  # (3, K)
    inout_detectors: Array64,  # (K, 3, 3) as `watch_metrics` has them
    inout_support: Array64,  # (L, 2) as `count_support` has it
    budget_usd: float,  # from here on as `account_decision` has it
    exploration_share: float,  # what exploration may add to what a request is meant to cost, as a share of it
    inout_accounts: Array64,  # (17,); (0,) without a budget, else prices and allowance follow from it
    inout_contexts: Array64,  # (2, M, K)
    inout_answers: Array64,  # (2, M)
    inout_codes: Codes,  # (B, K) reasons; one that is there already stays
    out_pmf: Array64,  # (B, K) written up to the last round
    out_expected: Array32,  # (B, 3, K) likewise
    out_index: Index,  # (B,) likewise: the drawn models
    out_pacing: Array64,  # (B, 4) likewise, within a budget: prices, share of the higher one, allowance
) -> int:
    """Play rounds and return how many: up to the one whose errors raise an alarm, or before one in which none is drawn.

    Of the latter nothing is learnt: the caller decides what happens then, as for a round by itself.
    """
    values = np.empty((4, slots.shape[0]), np.float64)
    is_paced = inout_accounts.shape[0] > 0
    for b in range(rows.shape[0]):
        if is_paced:
            price_low = inout_accounts[PRICE_LOW]
            price_high = inout_accounts[PRICE_HIGH]
            share_high = inout_accounts[SHARE_HIGH]
            allowance_usd = exploration_share * inout_accounts[TARGET_USD] + inout_accounts[IDLE_USD]
            out_pacing[b, 0] = price_low
            out_pacing[b, 1] = price_high
            out_pacing[b, 2] = share_high
            out_pacing[b, 3] = allowance_usd
        predict_models(inout_mirrored_theta, inout_mirrored_a_inv, inout_offsets, rows[b], values)
        k = decide(
            values,
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
            uniform[b],
            inout_codes[b],
            out_pmf[b],
            out_expected[b],
        )
        out_index[b] = k
        if k < 0:
            return b
        count_support(slots, out_pmf[b], inout_support)
        if is_paced:
            account_decision(
                out_expected[b],
                inout_codes[b],
                out_pmf[b],
                k,
                math.nan,
                math.nan,
                price_low,
                price_high,
                share_high,
                usd_weight,
                second_weight,
                budget_usd,
                0.0,
                inout_contexts,
                inout_answers,
                inout_accounts,
            )
            account_cost(np.float64(out_expected[b, 1, k]), costs[b, k], inout_accounts)
        of_quality, of_cost, of_latency = learn_metrics(
            inout_a_invs[k],
            inout_thetas[k],
            inout_numbers[k],
            prior_thetas[k],
            prior_precision,
            gamma,
            rows[b],
            seen[b, k, 0],
            seen[b, k, 1],
            seen[b, k, 2],
            1.0,
        )
        mirror_model(
            inout_a_invs[k],
            inout_thetas[k],
            inout_numbers[k],
            log_prices,
            guess_count,
            k,
            inout_mirrored_theta,
            inout_mirrored_a_inv,
            inout_offsets,
            inout_evidence,
        )
        if watches and watch_metrics(inout_detectors[k], of_quality, of_cost, of_latency):
            return b + 1
    return len(rows)
