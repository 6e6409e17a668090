"""What tests of several floors share: services, small cities, oracles. On the path through pytest's ``pythonpath``."""
