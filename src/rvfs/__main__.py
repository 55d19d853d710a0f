"""``python -m rvfs``: the command line."""

from rvfs.cli import main

raise SystemExit(main())
