"""Studies in MLflow: a view that is written from results and can be rebuilt from disk."""
