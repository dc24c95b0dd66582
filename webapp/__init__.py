"""The web: pages for people, health for machines. It writes wishes and reads facts.

Imports `database` and Flask; never `mqttworker`, and it opens no MQTT socket.
"""
