"""Starts the worker; the folder of the package needs no installation."""

import os
import sys

if not __package__:
    # Started by the name of its folder, whose modules must not be found under their bare names.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from cleanloop_worker import casa_tasks, protocol

if __name__ == "__main__":
    if "OMPI_COMM_WORLD_RANK" in os.environ:
        protocol.take_standard_output()
        # One of several processes under MPI: all but the first serve CASA's parallel imager from here on.
        from casampi.private import start_mpi  # noqa: F401
    casa_tasks.import_when_used()
    protocol.serve(sys.stdin, protocol.take_standard_output())
