"""What MQTT packets from a broker may hold (MQTT 5 and 3.1.1, chapters 2 and 3). Pure."""
