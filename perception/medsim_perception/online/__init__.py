"""Models that go on learning while they serve: detectors of drift, replay, and updates that pass a gate or are refused."""
