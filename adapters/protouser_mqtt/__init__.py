"""MQTT 3.1.1 and 5."""

__all__: list[str] = []
