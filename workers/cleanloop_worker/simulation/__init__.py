"""Simulated fields: a measurement set of a known sky seen through known, drifting antenna gains.

The observation (antenna positions, times, uvw) is laid out by casatools' simulator; the visibilities are a direct
Fourier sum over the components of the sky. The true sky and the true gains are saved beside the measurement set.
Everything random comes from one seed, in separate streams: the sky does not change when the gains do.
"""
