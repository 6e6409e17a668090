"""Sample cities: open boundaries and sites, generated records with planted truths."""
