"""Recordings as units of work: judged here, in other processes, on other machines; one report.

A unit is one recording and the monitors that judge it. Judging it yields :class:`Found` and,
last, one :class:`Judged`, whoever does it and wherever it is done.
"""
