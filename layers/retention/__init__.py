"""How long records are kept, and how they are destroyed afterwards.

The modules build on one another: ``cutoffs`` (from which date on a source's records are kept), ``ageing`` (which rows
of its deliveries are past that), ``counting`` (what they are in the layers), ``journal`` (what is being destroyed, and
what was), ``destruction`` (of rows, tables and runs), ``arrivals`` (rows that are delivered again) and ``purge``, which
does it all in an order that survives a crash.
"""
