"""Tests of off-policy evaluation, and the synthetic worlds that they share."""
