"""Real mounts: what the kernel and ordinary programs make of the tree."""
