"""Topic Names and Topic Filters (MQTT 5 and 3.1.1, section 4.7)."""

from __future__ import annotations


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a Topic Name matches a Topic Filter, shared ones included."""
    if topic_filter.startswith("$share/"):
        topic_filter = topic_filter.split("/", 2)[2]
    if topic.startswith("$") and topic_filter[0] in "+#":
        return False
    names = topic.split("/")
    for index, level in enumerate(topic_filter.split("/")):
        if level == "#":
            return True
        if index >= len(names) or level not in ("+", names[index]):
            return False
    return len(names) == topic_filter.count("/") + 1
