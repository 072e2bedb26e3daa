"""What goes wrong on the caller's side."""


class BadInput(Exception):
    """The caller can mend it; the words say how."""
