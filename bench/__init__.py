"""What rvfs costs, measured side by side with a named baseline in one run: ``make bench``."""
