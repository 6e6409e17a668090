"""The sample city: Marseille's open boundaries and sites, and a generator of everything else."""
