"""Hardware breakpoints: who may have a debug register, and who holds it.

``breakpoint.py`` knows attributes and architectures, ``table.py`` and ``slots.py`` count registers,
``machine.py`` puts them together in the order of perf_event_open(2), ``script.py`` reads
operations from a text.
"""
