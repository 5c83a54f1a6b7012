"""Network building blocks that know nothing of faces: layers, losses, optimizers, weights, devices."""
