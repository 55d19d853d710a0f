"""rvfs: the kernel's Runtime Verification interface as a file system, for any Linux box."""

__version__ = "0.1.0"
