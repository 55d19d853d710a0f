"""Which backend the files stand on, and why it is not the one that was asked for."""

import logging

from rvfs.errors import InvalidInput, RvfsError
from rvfs.hwbp.backend import Backend, ModelMachine

log = logging.getLogger(__name__)

BACKENDS = ("model", "perf")


def choose(kind: str) -> tuple[Backend, str]:
    """The backend of that name, else the model and the sentence why; the log has it too.

    Raises :class:`InvalidInput` for a name that none has.
    """
    if kind not in BACKENDS:
        raise InvalidInput(f"there is no backend {kind!r} for breakpoints: {', '.join(BACKENDS)}")
    if kind == "model":
        return ModelMachine(), ""
    from rvfs.hwbp.perf import PerfMachine  # here, so that the others need no perf

    try:
        return PerfMachine(), ""
    except RvfsError as error:
        note = f"the debug registers of this machine cannot be had, so none is set: {error}"
        log.warning("hwbp: %s", note)
        return ModelMachine(), note
