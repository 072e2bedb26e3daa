"""Errors that are not CASA's."""


class BadInput(Exception):
    """The user can mend it; the message says how."""


class BadRequest(Exception):
    """A request that the worker does not know, or whose keys or types are wrong: the caller's fault, not the user's."""
