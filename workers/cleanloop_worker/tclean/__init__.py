"""tclean, step by step: its tools stay open between cycles, and every mask comes from outside.

The steps are those of the task tclean (casatasks 6.7) with usemask='user'; the mask is written into NAME.mask before
each minor cycle. Residuals are written to FITS with the values outside the pixel mask kept, because the masks of
auto-multithresh depend on them; the pixel mask is a file beside them.

`steps` has the answers to requests, `session` the open tools, `files` what is kept on disk, `controller` the memory of
CASA's iteration controller, `parameters` what the tools are made with.
"""
