"""How models are measured: splits, metrics, baselines."""
