"""``protouser calibrate``: what a call of each installed protocol takes at least, here."""

from protouser.calibrate._command import add_arguments, run

__all__ = ["add_arguments", "run"]
