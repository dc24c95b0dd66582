"""Topic Names and Topic Filters (MQTT 5 and 3.1.1, section 4.7): which matches which."""

from __future__ import annotations


def unshared(topic_filter: str) -> str:
    """Return the Topic Filter of a shared subscription (5, section 4.8.2); others as they are."""
    return topic_filter.split("/", 2)[2] if topic_filter.startswith("$share/") else topic_filter


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a Topic Name matches a Topic Filter, shared ones included."""
    levels = unshared(topic_filter).split("/")
    if topic.startswith("$") and levels[0] in ("+", "#"):
        return False
    names = topic.split("/")
    for index, level in enumerate(levels):
        if level == "#":
            return True
        if index >= len(names) or level not in ("+", names[index]):
            return False
    return len(names) == len(levels)
