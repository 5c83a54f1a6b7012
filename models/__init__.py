"""The swap networks, the training step, the training loop and the checkpoints."""
