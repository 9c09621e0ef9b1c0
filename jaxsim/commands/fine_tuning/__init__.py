"""Fine-tuning tasks of `train`: batches, an objective, and figures on what is held out."""
