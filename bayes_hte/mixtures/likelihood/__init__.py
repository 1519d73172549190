"""The latent-class PyMC model, its draws, labels and membership of classes."""
