"""Search in the embeddings of a catalogue: one query language, exact in memory or on disk."""
