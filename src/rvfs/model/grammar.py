"""What filters and guards share: lark reads a text, an object with a method per rule builds of it.

lark takes longer to load than most of rvfs, so it is loaded by who has a text to read.
"""

from typing import Any


def built(node: Any, build: object) -> Any:
    """What ``build`` makes of a parse tree; the words and gaps in it are what they are."""
    if not hasattr(node, "data"):
        return node
    return getattr(build, node.data)(*(built(child, build) for child in node.children))
