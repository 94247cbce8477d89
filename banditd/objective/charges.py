"""What a call costs beside the tokens that a belief expects: fees, and a prompt cache that is cold."""

from dataclasses import dataclass

import numpy as np

from banditd.domain.arrays import Array64, Slots, frozen
from banditd.domain.context import INPUT_TOKENS_GUESS
from banditd.domain.decision import NO_SLOT
from banditd.domain.model import ModelSpec
from banditd.kernels.terms import add_charges
from banditd.policies.base import Prediction


@dataclass(frozen=True, slots=True)
class Charges:
    """Charges of K models, in catalogue order. Facts: they hold from the next decision on, and nothing is learnt anew.

    Attributes:
        slots: Shape (K,), uint16, numbers of the models.
        fee_usd: Shape (K,): per call.
        switch_usd: Shape (K,): in a session whose last answer came from another model.
        switch_token_usd: Shape (K,): the same, per input token of the prompt.
        has_fee: Whether any fee is above 0.
    """

    slots: Slots
    fee_usd: Array64
    switch_usd: Array64
    switch_token_usd: Array64
    has_fee: bool

    def added(self, prediction: Prediction, input_tokens: int, previous_slot: int) -> Prediction:
        """Return *prediction* with the charges in its costs.

        A provider keeps what it has read of a conversation and reads it again at a lower price; a model that has not
        answered last reads all of it anew. What is unknown of a cost stays so.

        Args:
            prediction: Of one context and all models.
            input_tokens: Length of the prompt; negative means unknown, for which a guess stands.
            previous_slot: Number of the model that was chosen last in the session, or `NO_SLOT`.
        """
        if previous_slot == NO_SLOT and not self.has_fee:
            return prediction
        tokens = float(INPUT_TOKENS_GUESS if input_tokens < 0 else input_tokens)
        values = np.empty_like(prediction.values)
        add_charges(
            prediction.values,
            self.fee_usd,
            self.switch_usd,
            self.switch_token_usd,
            self.slots,
            previous_slot,
            tokens,
            values,
        )
        return Prediction(values)


def charges_of(models: tuple[ModelSpec, ...], slots: Slots, switch_usd: float) -> Charges | None:
    """Return the charges of *models*; None where there are none, whatever the request.

    Args:
        models: The models.
        slots: Shape (K,), their numbers.
        switch_usd: What a switch costs to a model that has no cached price.
    """
    fees = fees_of(models)
    cold = [None if model.price is None else model.price.cold_mtok_usd for model in models]
    switch = [switch_usd if mtok_usd is None else 0.0 for mtok_usd in cold]
    token = [0.0 if mtok_usd is None else mtok_usd * 1e-6 for mtok_usd in cold]
    has_fee = bool(fees.any())
    if not (has_fee or any((*switch, *token))):
        return None
    return Charges(slots, frozen(fees), frozen(np.array(switch)), frozen(np.array(token)), has_fee)


def fees_of(models: tuple[ModelSpec, ...]) -> Array64:
    """Return what a call of each model costs beside its tokens, shape (K,); 0 without a price."""
    return np.array([0.0 if model.price is None else model.price.request_usd for model in models], np.float64)
