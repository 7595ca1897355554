"""Models on this machine: what is installed, where it came from, and how it gets here. `ModelStore` is what the server asks."""
