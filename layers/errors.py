"""Errors that a person can act on: what was given, what was expected, and where."""


class CalanqueError(Exception):
    """Base of every error that Calanque raises on purpose.

    The message is complete in itself: the command line prints it without a traceback.
    """


class CityFileError(CalanqueError, ValueError):
    """The city file is not valid; the message names its path, line and key."""


class DeliveryError(CalanqueError, ValueError):
    """A delivery is refused as a whole; the message names file and column. Nothing is kept of it."""


class LakeError(CalanqueError, RuntimeError):
    """The lake cannot be read or written as asked."""


class ProductError(CalanqueError, ValueError):
    """A product breaks its own contract (columns, units, forms)."""


class RunError(CalanqueError, LookupError):
    """A run does not exist, or is incomplete."""


class HomeError(CalanqueError, RuntimeError):
    """The home folder cannot be used (other city, not writable, locked)."""


class HomeLockedError(HomeError):
    """Another command is writing into this home folder."""
