"""What an adapter promises, by topic; ``AdapterContract`` is all of them together."""
