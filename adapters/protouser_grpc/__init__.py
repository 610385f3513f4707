"""gRPC: generated stubs, calls by reflection and streams."""

__all__: list[str] = []
