"""The file ``log``: what rvfs has said, newest last."""

import logging
from collections import deque

from rvfs.news import News

#: Messages that are kept.
CAPACITY = 1000


class Logbook(logging.Handler):
    """Keeps the last messages, tracebacks included, as the text of a file."""

    def __init__(self) -> None:
        super().__init__()
        self._messages: deque[bytes] = deque(maxlen=CAPACITY)
        self.news = News()
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.append(self.format(record).encode(errors="replace") + b"\n")
        self.news.tell()

    def text(self) -> bytes:
        return b"".join(self._messages)
