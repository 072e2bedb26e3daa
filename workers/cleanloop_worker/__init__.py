"""cleanloop's CASA worker: one process that answers requests for simulation, measurement sets, calibration, imaging.

It is started as `python FOLDER/cleanloop_worker`; `protocol` says how it is spoken to, `requests` what it can be asked
for, `registry` which function answers. CASA is imported by the functions that need it, when they need it.
"""
