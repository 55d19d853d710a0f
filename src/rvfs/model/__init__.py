"""What a specification is: text in, model out, nothing else."""
