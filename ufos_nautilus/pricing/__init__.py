"""Pricing models: quoters, fair value and the estimators that feed them; floats and pure functions only."""
